using KvMesh.Engine.Retention;

namespace KvMesh.Engine.Tests.Retention;

/// <summary>A block that is nothing but its place in a chain.</summary>
internal sealed class ChainBlock : Retained<ChainBlock>
{
    private readonly List<ChainBlock> _children = [];

    public ChainBlock(ulong id, ChainBlock? parent = null)
    {
        Id = id;
        Parent = parent;
        parent?._children.Add(this);
    }

    public ulong Id { get; }

    public override ulong Fingerprint => (Id + 1) * 0x9E37_79B9_7F4A_7C15;

    public override ChainBlock? Parent { get; }

    public bool HasChildren => _children.Count > 0;

    public bool IsPinned { get; set; }

    protected internal override IEnumerable<ChainBlock> ChildBlocks => _children.AsEnumerable().Reverse();

    public void Leave() => Parent?._children.Remove(this);
}
