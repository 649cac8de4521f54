using KvMesh.Client.Operations;
using KvMesh.Client.Progressive;
using KvMesh.Protocol.Keys;
using KvMesh.Protocol.Native;

namespace KvMesh.Client;

/// <summary>Blocks that are read while they are written.</summary>
public sealed partial class KvMeshClient
{
    /// <summary>
    /// Begins to write a block section by section; dispose the writer when done. Its memory on the node counts against the leases of this connection until it is
    /// sealed: <see cref="PutStatus.Full"/> when they hold as much as they may.
    /// </summary>
    /// <param name="parentHash">Hash of the block before it in its chain; empty for the first.</param>
    /// <param name="blockBytes">Bytes of the block, at least 1.</param>
    /// <param name="sectionBytes">Bytes of each section but the last, as of a layer: 1 to those of the block, in at most <see cref="ProgressiveLimits.MaxSections"/> sections.</param>
    public async ValueTask<SectionWriter> BeginSectionsAsync(
        BlockScope scope, ReadOnlyMemory<byte> hash, ReadOnlyMemory<byte> parentHash, int blockBytes, int sectionBytes, CancellationToken cancellationToken)
    {
        BlockClient.CheckParent(parentHash);
        if (!ProgressiveLimits.IsValid(blockBytes, sectionBytes))
        {
            throw new ArgumentException(
                $"sectionBytes is {sectionBytes} of blockBytes {blockBytes}; it must be 1 to blockBytes, in at most {ProgressiveLimits.MaxSections} sections.", nameof(sectionBytes));
        }

        var begin = new SectionBeginOperation(KeySelection.One(scope, hash), parentHash, blockBytes, sectionBytes);
        var connection = await _pool.RunAsync(begin, cancellationToken).ConfigureAwait(false);
        return new SectionWriter(connection, connection is null ? null : begin, blockBytes, sectionBytes);
    }

    /// <summary>
    /// Reads a block section by section into the caller's memory, also while it is being written: each comes as soon as it is published. The last item says why
    /// there are no more, unless it is the last section. Whoever stops early disposes the enumerator.
    /// </summary>
    /// <param name="sectionBytes">As its writer gave it; for a sealed block any.</param>
    /// <param name="destination">Room for the whole block.</param>
    /// <param name="timeout">Longest wait for each section.</param>
    public IAsyncEnumerable<SectionResult> FollowAsync(
        BlockScope scope, ReadOnlyMemory<byte> hash, int sectionBytes, Memory<byte> destination, TimeSpan timeout, CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(sectionBytes, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(timeout, TimeSpan.Zero);
        return new SectionReader(_pool, _options).FollowAsync(KeySelection.One(scope, hash), sectionBytes, destination, timeout, cancellationToken);
    }

    /// <summary>
    /// Reads several blocks by section on one connection, also while they are being written: the first section of each, then the second of each, as a prefill publishes
    /// them layer by layer. A block that nobody writes yet is asked for again until <paramref name="timeout"/>. A step that is not ready is the last one.
    /// </summary>
    /// <param name="targets">Blocks of one length, and where they go.</param>
    /// <param name="sectionBytes">As the writer gave it; for sealed blocks any.</param>
    /// <param name="timeout">Longest wait for each section.</param>
    public IAsyncEnumerable<TargetSection> FollowManyAsync(
        IReadOnlyList<SectionTarget> targets, int sectionBytes, TimeSpan timeout, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(targets);
        ArgumentOutOfRangeException.ThrowIfLessThan(sectionBytes, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(timeout, TimeSpan.Zero);
        return new ManySectionReader(_pool, _options).FollowAsync(targets, sectionBytes, timeout, cancellationToken);
    }
}
