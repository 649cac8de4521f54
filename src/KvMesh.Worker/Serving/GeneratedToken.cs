namespace KvMesh.Worker.Serving;

/// <summary>One token of an answer.</summary>
/// <param name="Token">Its number in the vocabulary.</param>
/// <param name="CachedTokens">Tokens of the prompt whose keys and values were not computed for this answer; the same with each of its tokens.</param>
public readonly record struct GeneratedToken(int Token, int CachedTokens);
