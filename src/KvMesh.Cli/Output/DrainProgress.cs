using System.Net;
using KvMesh.Client.Admin;
using KvMesh.Protocol.Admin;
using Spectre.Console;

namespace KvMesh.Cli.Output;

/// <summary>Follows a drain to its end: a bar on a terminal, a line now and then elsewhere, both on standard error.</summary>
internal sealed class DrainProgress(AdminClient admin, Terminal terminal, TimeProvider time)
{
    public const string Drained = "drained";

    private const string Draining = "draining";
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan LineInterval = TimeSpan.FromSeconds(5);

    /// <summary>The node that plans may change meanwhile; silence longer than a change takes ends the wait.</summary>
    private static readonly TimeSpan SilenceLimit = TimeSpan.FromMinutes(1);

    private long _answeredAt;
    private long _saidAt;

    /// <summary>One line with the state of a drain.</summary>
    public static string Describe(DrainStatus status)
    {
        var text = status.State switch
        {
            Draining => $"{status.Node} is draining: {Formats.Count(status.BlocksLeft)} of {Formats.Count(status.Blocks)} blocks are nowhere else yet, {Formats.Bytes(status.BytesLeft)}",
            Drained => $"{status.Node} is drained: others have all {Formats.Count(status.Blocks)} blocks that they should have, verified",
            _ => $"{status.Node} is not draining",
        };
        return status.Message.Length > 0 ? $"{text}; {status.Message}" : text;
    }

    /// <summary>Waits until it is drained, is taken back by somebody, or the limit is over, and returns how it stands then.</summary>
    /// <exception cref="CommandException">The node left, or nobody can say any more how far it is.</exception>
    public async Task<DrainStatus> WaitAsync(DrainStatus first, TimeSpan limit, CancellationToken cancellationToken)
    {
        _answeredAt = time.GetTimestamp();
        if (!terminal.ErrorIsTerminal)
        {
            return await FollowAsync(first, limit, SayNowAndThen, cancellationToken);
        }

        return await terminal.Progress.Progress()
            .AutoClear(true)
            .Columns(new TaskDescriptionColumn(), new ProgressBarColumn(), new PercentageColumn(), new RemainingTimeColumn())
            .StartAsync(context =>
            {
                var bar = context.AddTask(Markup.Escape(Describe(first)));
                return FollowAsync(first, limit, status => Show(bar, status), cancellationToken);
            });
    }

    private static void Show(ProgressTask bar, DrainStatus status)
    {
        bar.MaxValue = Math.Max(1, status.Blocks);
        bar.Value = Math.Clamp(status.Blocks - status.BlocksLeft, 0, bar.MaxValue);
        bar.Description = Markup.Escape(Describe(status));
    }

    private async Task<DrainStatus> FollowAsync(DrainStatus status, TimeSpan limit, Action<DrainStatus> show, CancellationToken cancellationToken)
    {
        var startedAt = time.GetTimestamp();
        show(status);
        while (status.State == Draining && (limit == TimeSpan.Zero || time.GetElapsedTime(startedAt) < limit))
        {
            await Task.Delay(Interval, time, cancellationToken);
            status = await AskAsync(status, cancellationToken);
            show(status);
        }

        return status;
    }

    /// <summary>How it stands now; as before, when nobody can say at the moment.</summary>
    private async Task<DrainStatus> AskAsync(DrainStatus last, CancellationToken cancellationToken)
    {
        try
        {
            var status = await admin.GetDrainAsync(last.Node, cancellationToken);
            _answeredAt = time.GetTimestamp();
            return status;
        }
        catch (AdminRefusedException refused) when (refused.StatusCode == HttpStatusCode.NotFound)
        {
            throw new CommandException(
                ExitCode.Failure, $"{last.Node} left the cluster with {Formats.Count(last.BlocksLeft)} blocks that were nowhere else when last seen.", refused);
        }
        catch (Exception e) when (IsTransient(e) && time.GetElapsedTime(_answeredAt) < SilenceLimit)
        {
            return last with { Message = e.Message };
        }
    }

    private static bool IsTransient(Exception exception) => exception
        is HttpRequestException or AdminRefusedException { StatusCode: HttpStatusCode.ServiceUnavailable or HttpStatusCode.TooManyRequests };

    private void SayNowAndThen(DrainStatus status)
    {
        if (_saidAt == 0 || time.GetElapsedTime(_saidAt) >= LineInterval)
        {
            _saidAt = time.GetTimestamp();
            terminal.Error.WriteLine($"kvmesh: {Describe(status)}");
        }
    }
}
