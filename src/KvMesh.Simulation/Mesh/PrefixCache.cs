namespace KvMesh.Simulation.Mesh;

/// <summary>
/// One node's blocks under least recently used, a chain leaving from its tail: constant time a touch. Slot 0 is both ends of the ring.
/// </summary>
internal sealed class PrefixCache
{
    private readonly Dictionary<ulong, int> _slots;
    private readonly ulong[] _ids;
    private readonly int[] _older;
    private readonly int[] _newer;
    private readonly Stack<int> _free = new();

    public PrefixCache(int capacity)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(capacity);
        Capacity = capacity;
        _slots = new Dictionary<ulong, int>(capacity);
        (_ids, _older, _newer) = (new ulong[capacity + 1], new int[capacity + 1], new int[capacity + 1]);
        Clear();
    }

    public int Capacity { get; }

    public int Count => _slots.Count;

    public bool Contains(ulong id) => _slots.ContainsKey(id);

    public void Clear()
    {
        _slots.Clear();
        _free.Clear();
        for (var slot = Capacity; slot > 0; slot--)
        {
            _free.Push(slot);
        }

        _older[0] = _newer[0] = 0;
    }

    /// <summary>Makes a block the newest. Returns false when it was not here; then it is now, and <paramref name="victim"/> left for it.</summary>
    public bool Touch(ulong id, out ulong? victim) => Place(id, asNewest: true, out victim);

    /// <summary>Puts a block where it leaves next, unless it is used again. One that is here stays where it is.</summary>
    public bool Offer(ulong id, out ulong? victim)
    {
        victim = null;
        return Contains(id) || Place(id, asNewest: false, out victim);
    }

    private bool Place(ulong id, bool asNewest, out ulong? victim)
    {
        victim = null;
        var isHere = _slots.TryGetValue(id, out var slot);
        if (isHere)
        {
            Unlink(slot);
        }
        else
        {
            if (_free.Count == 0)
            {
                victim = _ids[_newer[0]];
                Remove(victim.Value);
            }

            slot = _free.Pop();
            _ids[slot] = id;
            _slots.Add(id, slot);
        }

        Link(slot, after: asNewest ? _older[0] : 0);
        return isHere;
    }

    private void Remove(ulong id)
    {
        _slots.Remove(id, out var slot);
        Unlink(slot);
        _free.Push(slot);
    }

    /// <summary>Around the ring from 0: oldest, …, newest, 0.</summary>
    private void Link(int slot, int after)
    {
        var next = _newer[after];
        (_older[slot], _newer[slot]) = (after, next);
        _newer[after] = slot;
        _older[next] = slot;
    }

    private void Unlink(int slot)
    {
        _newer[_older[slot]] = _newer[slot];
        _older[_newer[slot]] = _older[slot];
    }
}
