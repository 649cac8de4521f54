using System.Runtime.CompilerServices;
using KvMesh.Client.Connections;
using KvMesh.Client.Operations;
using KvMesh.Protocol.Native.Messages;

namespace KvMesh.Client.Progressive;

/// <summary>Reads several blocks by section on one connection of its own, section by section in the order of the blocks.</summary>
internal sealed class ManySectionReader(ConnectionPool pool, ClientOptions options)
{
    /// <summary>Between two questions for a block that nobody writes yet.</summary>
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(2);

    public async IAsyncEnumerable<TargetSection> FollowAsync(
        IReadOnlyList<SectionTarget> targets, int sectionBytes, TimeSpan timeout, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await using var connection = await pool.DialForWatchAsync(cancellationToken).ConfigureAwait(false);
        var progress = new Progress[targets.Count];
        for (var section = 0; ; section++)
        {
            var isDone = true;
            for (var index = 0; index < targets.Count; index++)
            {
                while (progress[index].Next <= section && !progress[index].IsWhole(sectionBytes))
                {
                    var first = progress[index].Next;
                    var end = await StepAsync(connection, targets[index], sectionBytes, timeout, progress, index, cancellationToken).ConfigureAwait(false);
                    for (; first < progress[index].Next; first++)
                    {
                        var start = first * sectionBytes;
                        var bytes = targets[index].Destination[start..(int)Math.Min((long)start + sectionBytes, progress[index].BlockBytes)];
                        yield return new TargetSection(index, new SectionResult(SectionStatus.Ready, first, progress[index].BlockBytes, bytes));
                    }

                    if (end is { } status)
                    {
                        yield return new TargetSection(index, new SectionResult(status, progress[index].Next, progress[index].BlockBytes, default));
                        yield break;
                    }
                }

                isDone &= progress[index].IsWhole(sectionBytes);
            }

            if (isDone)
            {
                yield break;
            }
        }
    }

    /// <summary>Waits for the next section of one block. Not null: why it does not come.</summary>
    private async ValueTask<SectionStatus?> StepAsync(
        NodeConnection? connection, SectionTarget target, int sectionBytes, TimeSpan timeout, Progress[] progress, int index, CancellationToken cancellationToken)
    {
        var waitsSince = options.Time.GetTimestamp();
        while (true)
        {
            var (next, proof) = (progress[index].Next, progress[index].Proof);
            var rest = timeout - options.Time.GetElapsedTime(waitsSince);
            var wait = SectionReader.Shortest(rest > TimeSpan.Zero ? rest : TimeSpan.Zero, SectionReader.LongestWait, options.RequestTimeout / 2);
            var request = new SectionFollowRequest((uint)next, (uint)sectionBytes, proof, (uint)target.Destination.Length, (uint)wait.TotalMilliseconds);
            var follow = new SectionFollowOperation(KeySelection.One(target.Scope, target.Hash), request, target.Destination, options.VerifyChecksums);
            if (connection is not null)
            {
                await connection.ExecuteAsync(follow, cancellationToken).ConfigureAwait(false);
            }

            progress[index] = new Progress(next + follow.Count, follow.Proof, follow.BlockBytes > 0 ? follow.BlockBytes : progress[index].BlockBytes);
            if (progress[index].IsWhole(sectionBytes) && follow.Outcome == OperationOutcome.Done)
            {
                return null;
            }

            var end = SectionReader.End(follow, progress[index].Next, isLate: rest <= TimeSpan.Zero);
            if (end == SectionStatus.Miss && rest > TimeSpan.Zero)
            {
                await Task.Delay(Pause, options.Time, cancellationToken).ConfigureAwait(false);
            }
            else if (end is not null || follow.Count > 0)
            {
                return end;
            }
        }
    }

    /// <summary>How far a block has come.</summary>
    private readonly record struct Progress(int Next, uint Proof, int BlockBytes)
    {
        public bool IsWhole(int sectionBytes) => BlockBytes > 0 && (long)Next * sectionBytes >= BlockBytes;
    }
}
