using KvMesh.Protocol;
using KvMesh.Protocol.Keys;
using KvMesh.Protocol.Sequences;

namespace KvMesh.Worker.Serving;

/// <summary>The tokens of one sequence, and the chain hashes of its full blocks. Tokens are only added, by one thread; hashes that were there stay.</summary>
internal sealed class TokenChain
{
    private readonly int[] _tokens;
    private readonly byte[] _hashes;
    private readonly int _blockTokens;

    /// <param name="prompt">First tokens.</param>
    /// <param name="capacity">Most tokens that the sequence will have.</param>
    /// <param name="blockTokens">Tokens of a block.</param>
    public TokenChain(IReadOnlyList<int> prompt, int capacity, int blockTokens)
    {
        _tokens = new int[capacity];
        _hashes = new byte[capacity / blockTokens * Limits.ChainHashBytes];
        _blockTokens = blockTokens;
        foreach (var token in prompt)
        {
            Add(token);
        }
    }

    public int Count { get; private set; }

    public int FullBlocks => Count / _blockTokens;

    public void Add(int token)
    {
        _tokens[Count++] = token;
        if (Count % _blockTokens == 0)
        {
            AddHash(FullBlocks - 1);
        }
    }

    /// <summary>Tokens from one on.</summary>
    public ReadOnlyMemory<int> Tokens(int first, int count) => _tokens.AsMemory(first, count);

    public BlockHash Hash(int block) => new(HashBytes(block).Span);

    /// <summary>32 bytes for each block.</summary>
    public ReadOnlyMemory<byte> HashBytes(int first, int count = 1) => _hashes.AsMemory(first * Limits.ChainHashBytes, count * Limits.ChainHashBytes);

    /// <summary>Hash of the block before; empty before the first.</summary>
    public ReadOnlyMemory<byte> ParentOf(int block) => block == 0 ? default : HashBytes(block - 1);

    private void AddHash(int block)
    {
        var words = Array.ConvertAll(_tokens[(block * _blockTokens)..((block + 1) * _blockTokens)], token => (uint)token);
        var previous = block == 0 ? ChainHash.Root : HashBytes(block - 1).Span;
        ChainHash.Next(previous, words, default, _hashes.AsSpan(block * Limits.ChainHashBytes, Limits.ChainHashBytes));
    }
}
