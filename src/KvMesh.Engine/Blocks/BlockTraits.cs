using KvMesh.Protocol.Arena;

namespace KvMesh.Engine.Blocks;

/// <summary>What a writer knows about a block besides its key and length. All keys are of the writer's own tenant.</summary>
public readonly ref struct BlockTraits
{
    /// <summary>Whether the key names content, so that the first sealed writer wins.</summary>
    public bool IsContent { get; init; }

    /// <summary>Whether no copy of it may lose anything, in any tier of any node.</summary>
    public bool LosslessOnly { get; init; }

    /// <summary>Key of the block before this one in its chain; empty for the first block of a chain or when none is known.</summary>
    public ReadOnlySpan<byte> ParentKey { get; init; }

    /// <summary>Key of the block that this small one describes: both become visible, and leave, together. Empty: none.</summary>
    public ReadOnlySpan<byte> CompanionOf { get; init; }

    /// <summary>Model of the block, for purge and metrics; empty when unknown.</summary>
    public string Model { get; init; }

    /// <summary>Revision of the model's weights; empty when unknown.</summary>
    public string Revision { get; init; }

    /// <summary>Traits of a key that means nothing to the engine and is replaced by a later write.</summary>
    public static BlockTraits Opaque => new() { Model = "", Revision = "" };

    /// <summary>Traits of a content-addressed block of <paramref name="model"/>.</summary>
    public static BlockTraits Content(string model, string revision, ReadOnlySpan<byte> parentKey) =>
        new() { IsContent = true, Model = model, Revision = revision, ParentKey = parentKey };

    internal BlockFlags Flags =>
        (IsContent ? BlockFlags.Content : BlockFlags.None)
        | (CompanionOf.IsEmpty ? BlockFlags.None : BlockFlags.Companion)
        | (LosslessOnly ? BlockFlags.LosslessOnly : BlockFlags.None)
        | (ParentKey.IsEmpty ? BlockFlags.None : BlockFlags.HasParent);
}
