using KvMesh.Simulation.Traces;

namespace KvMesh.TestKit;

/// <summary>
/// What a cache of N blocks under "LRU by request, tail first, no partial tails" must do, in the plainest way: used blocks are
/// ordered by their last request, those of one request from its tail to its head, and the first in that order go.
/// </summary>
public sealed class LruModel(int capacity)
{
    private readonly Dictionary<string, (long Request, int Index)> _lastUse = [];
    private readonly SortedSet<(long Request, int ReverseIndex, string Hash)> _order = [];
    private long _request;

    public long Blocks { get; private set; }

    public long HitBlocks { get; private set; }

    public double HitRatio => (double)HitBlocks / Blocks;

    public void Serve(PromptRequest request)
    {
        byte[] buffer = [];
        var chain = request.HashInto(ref buffer);
        var hashes = Enumerable.Range(0, request.FullBlocks).Select(i => Convert.ToHexString(chain.Span.Slice(i * 32, 32))).ToArray();
        _request++;
        Blocks += request.BlockIds.Length;
        HitBlocks += hashes.TakeWhile(_lastUse.ContainsKey).Count();
        for (var i = 0; i < hashes.Length; i++)
        {
            Touch(hashes[i], i);
        }

        while (_order.Count > capacity)
        {
            var victim = _order.Min;
            _order.Remove(victim);
            _lastUse.Remove(victim.Hash);
        }
    }

    private void Touch(string hash, int index)
    {
        if (_lastUse.TryGetValue(hash, out var last))
        {
            _order.Remove((last.Request, -last.Index, hash));
        }

        _lastUse[hash] = (_request, index);
        _order.Add((_request, -index, hash));
    }
}
