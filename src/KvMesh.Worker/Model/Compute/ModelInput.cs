using KvMesh.Worker.Model.Cache;

namespace KvMesh.Worker.Model.Compute;

/// <summary>Tokens of one sequence that a pass computes.</summary>
/// <param name="Tokens">At least one; they follow <paramref name="Position"/> tokens whose keys and values are in the pages.</param>
/// <param name="Position">Tokens before them.</param>
/// <param name="Pages">Keys and values of the sequence, with room for all of it.</param>
/// <param name="LogitRows">For how many of the last tokens logits are wanted.</param>
public readonly record struct ModelInput(ReadOnlyMemory<int> Tokens, int Position, IKvPages Pages, int LogitRows = 1)
{
    /// <summary>Tokens of the sequence after the pass.</summary>
    public int EndPosition => Position + Tokens.Length;
}
