using System.Collections.Immutable;

namespace KvMesh.Cluster.Loading;

/// <summary>A block of a prefix that a match found.</summary>
/// <param name="Tokens">Tokens whose keys and values it holds.</param>
/// <param name="Bytes">Bytes that a fetch moves: those of the block as it lies, encoded or not. 0: it is here.</param>
/// <param name="Sources">Places in <see cref="ReadInput.Sources"/> that have it; at least one, since a match ends before a block that nobody holds.</param>
public readonly record struct HeldBlock(int Tokens, long Bytes, ImmutableArray<int> Sources);
