using KvMesh.Engine.Blocks;

namespace KvMesh.Engine.FarTiers.Holders;

/// <summary>
/// Gives every announcement a place that it keeps as long as it lasts, so that all can be listed a page at a time while others come and go. Guarded by the gate of
/// its tier. It is as large as the most that were announced at a time.
/// </summary>
internal sealed class HeldPlaces
{
    private readonly List<(Holding? Holding, KeyBytes Key)> _places = [];
    private readonly Stack<int> _free = new();

    public int Take(Holding holding, ReadOnlySpan<byte> key)
    {
        var entry = (holding, new KeyBytes(key));
        if (_free.TryPop(out var place))
        {
            _places[place] = entry;
            return place;
        }

        _places.Add(entry);
        return _places.Count - 1;
    }

    public KeyBytes KeyAt(int place) => _places[place].Key;

    public void Free(int place)
    {
        _places[place] = default;
        _free.Push(place);
    }

    /// <summary>Adds the announcements of a page. Returns the first place behind it; 0: that was the last page.</summary>
    public long List(long from, int most, List<(Tenant Tenant, ReadOnlyMemory<byte> Key)> page)
    {
        var end = (int)Math.Min(_places.Count, from + most);
        for (var place = (int)Math.Min(from, end); place < end; place++)
        {
            if (_places[place].Holding is { } holding)
            {
                page.Add((holding.Tenant, _places[place].Key.ToMemory()));
            }
        }

        return end < _places.Count ? end : 0;
    }
}
