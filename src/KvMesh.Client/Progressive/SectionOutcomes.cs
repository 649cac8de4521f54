using KvMesh.Protocol.Keys;

namespace KvMesh.Client.Progressive;

/// <summary>What a reader of a block that may still be written is told.</summary>
public enum SectionStatus
{
    /// <summary>A section is in the destination, verified.</summary>
    Ready,

    /// <summary>The node does not have the block, and nobody writes it.</summary>
    Miss,

    /// <summary>The writer ended before the last section, and nobody else has what follows: the rest is a miss.</summary>
    WriterGone,

    /// <summary>Somebody else sealed other bytes first, or writes in other sections: what was read so far does not go with what the node has.</summary>
    Diverged,

    /// <summary>The next section was not published within the timeout.</summary>
    TimedOut,

    /// <summary>The destination cannot hold the block: <see cref="SectionResult.BlockBytes"/> says what it needs.</summary>
    TooSmall,

    /// <summary>The node could not be reached in time, refused the request, has too many readers that wait, or leases hold as much as they may. Treat it as a miss.</summary>
    Failed,
}

/// <summary>One step of reading a block by section.</summary>
/// <param name="Status">What became of it. Anything but <see cref="SectionStatus.Ready"/> is the last step.</param>
/// <param name="Section">Its index; of a step that is not ready, the one that did not come.</param>
/// <param name="BlockBytes">Bytes of the whole block; 0 while nothing is known of it.</param>
/// <param name="Bytes">Its bytes, a part of the destination; empty unless ready.</param>
public readonly record struct SectionResult(SectionStatus Status, int Section, int BlockBytes, ReadOnlyMemory<byte> Bytes);

/// <summary>A block that is followed together with others.</summary>
/// <param name="Scope">Scope of its key.</param>
/// <param name="Hash">Its chain hash, 32 bytes.</param>
/// <param name="Destination">Room for the whole block.</param>
public readonly record struct SectionTarget(BlockScope Scope, ReadOnlyMemory<byte> Hash, Memory<byte> Destination);

/// <summary>One step of reading several blocks by section.</summary>
/// <param name="Target">Index of the block among those that are followed.</param>
/// <param name="Result">What became of its section. Anything but <see cref="SectionStatus.Ready"/> is the last step of all.</param>
public readonly record struct TargetSection(int Target, SectionResult Result);
