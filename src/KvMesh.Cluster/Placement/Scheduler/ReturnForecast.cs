using KvMesh.Cluster.Sequences;
using KvMesh.Protocol.Sequences;

namespace KvMesh.Cluster.Placement.Scheduler;

/// <summary>
/// When a parked sequence will be resumed: at the time that was named when it was parked; else after as long as it usually rests; else, while it has rested
/// too seldom to tell, after as long as sequences of its tenant usually do. A function of what it was told, without a clock. One caller at a time.
/// </summary>
internal sealed class ReturnForecast
{
    /// <summary>Rests of its own that tell more than those of its tenant.</summary>
    private const int OwnRests = 2;

    /// <summary>Sequences of a tenant whose rests are known; a new one takes the place of the one that was heard of least lately.</summary>
    private const int MaxSequences = 256;

    /// <summary>Sequences that must have rested before they tell anything of another one.</summary>
    private const int MinSequences = 3;

    private readonly Dictionary<string, TenantRests> _tenants = new(StringComparer.Ordinal);

    /// <summary>Takes note of how long a sequence rests.</summary>
    public void Learn(string tenant, SequenceInfo info)
    {
        ArgumentNullException.ThrowIfNull(info);
        if (info.Rests == 0)
        {
            return;
        }

        if (!_tenants.TryGetValue(tenant, out var rests))
        {
            _tenants.Add(tenant, rests = new TenantRests());
        }

        rests.Put(info.Name, info.UsualRestMilliseconds);
    }

    /// <summary>When it is expected (Unix milliseconds), and whether that is a guess. Null: it is not parked, or nobody can tell.</summary>
    public (long At, bool IsGuess)? Of(string tenant, SequenceInfo info)
    {
        if (info.State != SequenceState.Parked)
        {
            return null;
        }

        if (info.ReturnAt > 0)
        {
            return (info.ReturnAt, false);
        }

        long? rest = info.Rests >= OwnRests ? info.UsualRestMilliseconds
            : _tenants.TryGetValue(tenant, out var rests) && rests.Count >= MinSequences ? rests.Usual
            : info.Rests > 0 ? info.UsualRestMilliseconds
            : null;
        return rest is { } milliseconds && info.ParkedAt > 0 ? (info.ParkedAt + milliseconds, true) : null;
    }

    private sealed class TenantRests
    {
        private readonly Dictionary<string, LinkedListNode<(string Name, uint Milliseconds)>> _byName = new(StringComparer.Ordinal);
        private readonly LinkedList<(string Name, uint Milliseconds)> _all = [];
        private uint? _usual;

        public int Count => _byName.Count;

        public uint Usual => _usual ??= RestTimes.Usual(_all.Select(entry => entry.Milliseconds).ToArray());

        public void Put(string name, uint rest)
        {
            if (_byName.Remove(name, out var known))
            {
                _usual = known.Value.Milliseconds == rest ? _usual : null;
                _all.Remove(known);
            }
            else
            {
                _usual = null;
                if (_byName.Count == MaxSequences)
                {
                    _byName.Remove(_all.First!.Value.Name);
                    _all.RemoveFirst();
                }
            }

            _byName.Add(name, _all.AddLast((name, rest)));
        }
    }
}
