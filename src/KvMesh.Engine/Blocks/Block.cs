namespace KvMesh.Engine.Blocks;

/// <summary>One content of one key.</summary>
public sealed class Block
{
}
