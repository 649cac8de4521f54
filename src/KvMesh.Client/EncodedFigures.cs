namespace KvMesh.Client;

/// <summary>What a client received encoded, since it connected.</summary>
/// <param name="Blocks">Blocks that came encoded and were decoded here.</param>
/// <param name="ReceivedBytes">Bytes in which they came.</param>
/// <param name="BlockBytes">Bytes that they have.</param>
/// <param name="Undecoded">Blocks that came encoded, could not be decoded here, and were asked for again.</param>
/// <param name="Mismatches">Blocks whose encoded bytes did not match their checksums: each was a miss, and the node was told.</param>
public readonly record struct EncodedFigures(long Blocks, long ReceivedBytes, long BlockBytes, long Undecoded, long Mismatches);
