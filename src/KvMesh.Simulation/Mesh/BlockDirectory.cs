namespace KvMesh.Simulation.Mesh;

/// <summary>Which nodes hold a block, exactly and at once: the block map of the mesh without its delay.</summary>
internal sealed class BlockDirectory
{
    private readonly Dictionary<ulong, List<int>> _holders = [];

    public IReadOnlyList<int> HoldersOf(ulong id) => _holders.TryGetValue(id, out var holders) ? holders : [];

    public void Add(ulong id, int node)
    {
        if (!_holders.TryGetValue(id, out var holders))
        {
            _holders.Add(id, holders = []);
        }

        holders.Add(node);
    }

    public void Remove(ulong id, int node)
    {
        var holders = _holders[id];
        holders[holders.IndexOf(node)] = holders[^1];
        holders.RemoveAt(holders.Count - 1);
        if (holders.Count == 0)
        {
            _holders.Remove(id);
        }
    }

    public void RemoveAll(int node)
    {
        foreach (var (id, _) in _holders.Where(entry => entry.Value.Contains(node)).ToArray())
        {
            Remove(id, node);
        }
    }

    /// <summary>For every node that holds the first block: how many blocks from it on it holds without a gap.</summary>
    /// <param name="lengths">Filled by node; cleared first.</param>
    public void PrefixLengths(ReadOnlySpan<ulong> chain, Dictionary<int, int> lengths)
    {
        lengths.Clear();
        for (var index = 0; index < chain.Length; index++)
        {
            var holders = HoldersOf(chain[index]);
            var isGoingOn = false;
            foreach (var node in holders)
            {
                if (index == 0 || (lengths.TryGetValue(node, out var length) && length == index))
                {
                    lengths[node] = index + 1;
                    isGoingOn = true;
                }
            }

            if (!isGoingOn)
            {
                return;
            }
        }
    }
}
