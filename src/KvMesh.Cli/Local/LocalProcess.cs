using System.Diagnostics;

namespace KvMesh.Cli.Local;

/// <summary>
/// A process of a local mesh. It ends when its standard input does, so that it never outlives this process, however that ends. What
/// it writes to standard error goes to ours, with its name in front.
/// </summary>
internal sealed class LocalProcess : IAsyncDisposable
{
    private static readonly TimeSpan StopLimit = TimeSpan.FromSeconds(60);

    private readonly string _name;
    private readonly Process _process;
    private readonly Task<string?> _firstLine;
    private readonly Task _errors;

    private LocalProcess(string name, Process process, TextWriter log)
    {
        _name = name;
        _process = process;
        _errors = CopyAsync(process.StandardError, log);
        _firstLine = process.StandardOutput.ReadLineAsync();
        Ended = WatchAsync();
    }

    public int Id => _process.Id;

    /// <summary>The exit code, once the process has ended, by itself or not.</summary>
    public Task<int> Ended { get; }

    /// <exception cref="CommandException">There is no such program.</exception>
    public static LocalProcess Start(
        string name, (string Program, IReadOnlyList<string> Arguments) command, IReadOnlyDictionary<string, string> environment, TextWriter log)
    {
        var start = new ProcessStartInfo(command.Program, command.Arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        };
        foreach (var (variable, value) in environment)
        {
            start.Environment[variable] = value;
        }

        try
        {
            return new LocalProcess(name, Process.Start(start)!, log);
        }
        catch (System.ComponentModel.Win32Exception exception)
        {
            throw new CommandException(ExitCode.Failure, $"{command.Program} cannot be started: {exception.Message}");
        }
    }

    /// <summary>What it printed first.</summary>
    /// <exception cref="CommandException">It ended before.</exception>
    public async Task<string> FirstLineAsync(CancellationToken cancellationToken) =>
        await _firstLine.WaitAsync(cancellationToken)
        ?? throw new CommandException(ExitCode.Failure, $"{_name} did not start; its messages are above.");

    /// <summary>Asks it to stop and waits; one that does not is killed.</summary>
    public async ValueTask DisposeAsync()
    {
        _process.StandardInput.Close();

        using var limit = new CancellationTokenSource(StopLimit);
        try
        {
            await _process.WaitForExitAsync(limit.Token);
        }
        catch (OperationCanceledException)
        {
            _process.Kill(entireProcessTree: true);
        }

        await Ended;
        _process.Dispose();
    }

    private async Task<int> WatchAsync()
    {
        await Task.WhenAll(_process.WaitForExitAsync(), _errors);
        return _process.ExitCode;
    }

    private async Task CopyAsync(StreamReader reader, TextWriter log)
    {
        while (await reader.ReadLineAsync() is { } line)
        {
            await log.WriteLineAsync($"{_name} | {line}");
        }
    }
}
