using System.Runtime.CompilerServices;
using KvMesh.Client.Connections;
using KvMesh.Client.Operations;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Native.Messages;

namespace KvMesh.Client.Progressive;

/// <summary>Reads blocks by section on a connection of its own, since a node answers one connection's requests in order and this one waits.</summary>
internal sealed class SectionReader(ConnectionPool pool, ClientOptions options)
{
    /// <summary>Longest wait of one request; the node answers sooner when there is a section.</summary>
    internal static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(5);

    public async IAsyncEnumerable<SectionResult> FollowAsync(
        KeySelection key, int sectionBytes, Memory<byte> destination, TimeSpan timeout, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await using var connection = await pool.DialForWatchAsync(cancellationToken).ConfigureAwait(false);
        var (next, proof, blockBytes) = (0, 0u, 0);
        var waitsSince = options.Time.GetTimestamp();
        while (true)
        {
            var rest = timeout - options.Time.GetElapsedTime(waitsSince);
            var wait = Shortest(rest > TimeSpan.Zero ? rest : TimeSpan.Zero, LongestWait, options.RequestTimeout / 2);
            var request = new SectionFollowRequest((uint)next, (uint)sectionBytes, proof, (uint)destination.Length, (uint)wait.TotalMilliseconds);
            var follow = new SectionFollowOperation(key, request, destination, options.VerifyChecksums);
            if (connection is not null)
            {
                await connection.ExecuteAsync(follow, cancellationToken).ConfigureAwait(false);
            }

            blockBytes = follow.BlockBytes > 0 ? follow.BlockBytes : blockBytes;
            for (var index = 0; index < follow.Count; index++, next++)
            {
                var start = next * sectionBytes;
                yield return new SectionResult(SectionStatus.Ready, next, blockBytes, destination[start..(int)Math.Min((long)start + sectionBytes, blockBytes)]);
            }

            if (blockBytes > 0 && (long)next * sectionBytes >= blockBytes && follow.Outcome == OperationOutcome.Done)
            {
                yield break;
            }

            if (End(follow, next, isLate: rest <= TimeSpan.Zero) is { } end)
            {
                yield return new SectionResult(end, next, blockBytes, default);
                yield break;
            }

            if (follow.Count > 0)
            {
                (proof, waitsSince) = (follow.Proof, options.Time.GetTimestamp());
            }
        }
    }

    /// <summary>Why no more sections come; null: they may.</summary>
    internal static SectionStatus? End(SectionFollowOperation follow, int next, bool isLate) => (follow.Outcome, follow.Answer) switch
    {
        (not OperationOutcome.Done, _) => SectionStatus.Failed,
        _ when follow.IsTooSmall => SectionStatus.TooSmall,
        _ when follow.HasMismatch => SectionStatus.Failed,
        (_, NativeStatus.Ok) => follow.Count > 0 ? null : SectionStatus.Failed,
        (_, NativeStatus.NotYet) => isLate ? SectionStatus.TimedOut : null,
        (_, NativeStatus.Miss) => next == 0 ? SectionStatus.Miss : SectionStatus.WriterGone,
        (_, NativeStatus.Diverged) => SectionStatus.Diverged,
        _ => SectionStatus.Failed,
    };

    internal static TimeSpan Shortest(TimeSpan first, TimeSpan second, TimeSpan third) => TimeSpan.FromTicks(Math.Min(first.Ticks, Math.Min(second.Ticks, third.Ticks)));
}
