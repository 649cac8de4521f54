using System.Diagnostics.CodeAnalysis;
using KvMesh.Cluster.Demand;
using KvMesh.Protocol.Keys;

namespace KvMesh.Gateway.Resp.Keys;

/// <summary>A part of the families. Callers hold its monitor. What was made first is forgotten first.</summary>
internal sealed class ChainStripe(int maxFamilies, int maxMisses)
{
    /// <summary>Prompts that are followed at once to count them, at about 70 KB each once used.</summary>
    private const int MaxRuns = 8;

    private readonly Dictionary<KeyDigest, ChainFamily> _families = [];
    private readonly Queue<KeyDigest> _familyOrder = new();
    private readonly Dictionary<KeyDigest, HashField> _misses = [];
    private readonly Queue<KeyDigest> _missOrder = new();
    private readonly ChainRun?[] _runs = new ChainRun?[MaxRuns];

    public int Families => _families.Count;

    public int Misses => _misses.Count;

    public bool TryFind(KeyDigest id, [MaybeNullWhen(false)] out ChainFamily family) => _families.TryGetValue(id, out family);

    public ChainFamily Family(KeyDigest id)
    {
        if (_families.TryGetValue(id, out var family))
        {
            return family;
        }

        if (_families.Count == maxFamilies)
        {
            _families.Remove(_familyOrder.Dequeue());
        }

        _familyOrder.Enqueue(id);
        return _families[id] = new ChainFamily(id);
    }

    /// <summary>
    /// Memory for a run that begins: a free one, else that of a client which paused and so has ended its prompt. Null: all are in use, and the
    /// prompt is not counted.
    /// </summary>
    public ChainRun? RentRun(Func<long, bool> isPause, DemandSampler demand)
    {
        for (var index = 0; index < _runs.Length; index++)
        {
            if (_runs[index] is not { } run)
            {
                return _runs[index] = new ChainRun();
            }

            if (run.Owner is not null && isPause(run.At))
            {
                run.End(demand);
            }

            if (run.Owner is null)
            {
                return run;
            }
        }

        return null;
    }

    /// <summary>A block was missing behind <paramref name="parent"/>, which is empty when it was the first of its prompt.</summary>
    public void RememberMiss(KeyDigest miss, HashField parent)
    {
        if (_misses.TryAdd(miss, parent))
        {
            _missOrder.Enqueue(miss);
        }
        else
        {
            _misses[miss] = parent;
        }

        // Recalled misses leave their place in the queue behind, so its length is the bound.
        while (_missOrder.Count > maxMisses)
        {
            _misses.Remove(_missOrder.Dequeue());
        }
    }

    public bool TryRecallMiss(KeyDigest miss, out HashField parent) => _misses.Remove(miss, out parent);
}
