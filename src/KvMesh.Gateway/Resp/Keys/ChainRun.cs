using KvMesh.Cluster.Demand;
using KvMesh.Protocol;
using KvMesh.Protocol.Keys;

namespace KvMesh.Gateway.Resp.Keys;

/// <summary>
/// The blocks of one prompt that a client has asked for so far, in its order, until they are counted as one request. Memory is used again for the next prompt.
/// Whoever holds the monitor of its stripe uses it.
/// </summary>
internal sealed class ChainRun
{
    /// <summary>Blocks that are kept; of a longer prompt the beginning is.</summary>
    private const int MaxBlocks = DemandSampler.MaxBlocks;

    private readonly byte[] _text = new byte[Limits.MaxKeyBytes];
    private readonly byte[] _hashes = new byte[DemandSampler.MaxHashBytes];
    private readonly byte[] _lengths = new byte[MaxBlocks];
    private string _tenant = "";
    private LmcacheHalf _half;
    private int _beforeBytes;
    private int _afterBytes;
    private int _hashBytes;

    /// <summary>Whose it is; null while nobody uses it.</summary>
    public ChainFamily? Owner { get; private set; }

    /// <summary>Timestamp of its last block.</summary>
    public long At { get; private set; }

    /// <summary>Blocks so far.</summary>
    public int Count { get; private set; }

    /// <summary>Whether it consists of loads that no lookup announced.</summary>
    public bool IsOfLoads { get; private set; }

    /// <summary>Takes it for a family, whose run it is from now on. The first key follows by <see cref="Add"/>.</summary>
    public void Begin(ChainFamily owner, string tenant, ReadOnlySpan<byte> key, in ContentKey parts, bool isOfLoads)
    {
        Owner = owner;
        owner.Run = this;
        _tenant = tenant;
        _half = parts.Half;
        IsOfLoads = isOfLoads;
        var before = key[..parts.Hash.Start.Value];
        var after = key[parts.Hash.End.Value..];
        before.CopyTo(_text);
        after.CopyTo(_text.AsSpan(before.Length));
        (_beforeBytes, _afterBytes) = (before.Length, after.Length);
        (Count, _hashBytes) = (0, 0);
    }

    /// <summary>Whether the key is of the half of pairs that the run is of: each block counts once.</summary>
    public bool IsOf(in ContentKey parts) => parts.Half == _half;

    public bool StartsWith(ReadOnlySpan<byte> hash) => Count > 0 && _hashes.AsSpan(0, _lengths[0]).SequenceEqual(hash);

    public void Add(ReadOnlySpan<byte> hash, long at)
    {
        At = at;
        if (Count == MaxBlocks || _hashBytes + hash.Length > _hashes.Length)
        {
            return;
        }

        hash.CopyTo(_hashes.AsSpan(_hashBytes));
        _lengths[Count++] = (byte)hash.Length;
        _hashBytes += hash.Length;
    }

    /// <summary>The prompt is over: counts it, and gives the memory back.</summary>
    public void End(DemandSampler? demand)
    {
        if (Count > 0)
        {
            demand?.Note(_tenant, _text.AsSpan(0, _beforeBytes), _text.AsSpan(_beforeBytes, _afterBytes), _hashes.AsSpan(0, _hashBytes), _lengths.AsSpan(0, Count));
        }

        Owner!.Run = null;
        Owner = null;
        Count = 0;
    }
}
