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
}
