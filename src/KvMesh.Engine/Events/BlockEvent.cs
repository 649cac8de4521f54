using KvMesh.Engine.Blocks;

namespace KvMesh.Engine.Events;

/// <summary>What happened to a block. Sent on the wire: append only.</summary>
public enum BlockEventKind : byte
{
    Stored = 1,
    Demoted = 2,
    Promoted = 3,
    Removed = 4,

    /// <summary>Every block of a scope went at once; the key is empty.</summary>
    Purged = 5,

    /// <summary>A worker that is connected to this node has the block in its own memory.</summary>
    Held = 6,

    /// <summary>None has it any more. The tiers say whether this node has.</summary>
    LetGo = 7,
}

/// <summary>One entry of the node's event log.</summary>
/// <param name="Sequence">Grows by one per event within an incarnation, from 1.</param>
/// <param name="Tenant">Name of the tenant that owns the block.</param>
/// <param name="IsContent">Whether the key names content: only such a block means the same on every node.</param>
public readonly record struct BlockEvent(
    long Sequence, BlockEventKind Kind, string Tenant, ReadOnlyMemory<byte> Key, long PayloadBytes, BlockTiers Tiers, bool IsContent);
