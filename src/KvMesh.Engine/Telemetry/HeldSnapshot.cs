namespace KvMesh.Engine.Telemetry;

/// <summary>What connected workers keep in their own memory.</summary>
/// <param name="Workers">Workers that announce blocks.</param>
/// <param name="Blocks">Blocks that they have announced, each counted once for each worker.</param>
/// <param name="Bytes">Payload bytes of these.</param>
public readonly record struct HeldSnapshot(int Workers, int Blocks, long Bytes);
