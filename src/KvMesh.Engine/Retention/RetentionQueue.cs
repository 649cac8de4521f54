namespace KvMesh.Engine.Retention;

/// <summary>
/// Blocks in an order of leaving, linked through the blocks themselves: every step is O(1) and allocates nothing. A block is in one queue at a time.
/// </summary>
/// <param name="number">What <see cref="Retained{T}.Queue"/> of its blocks says.</param>
internal sealed class RetentionQueue<T>(int number)
    where T : Retained<T>
{
    public int Number => number;

    /// <summary>The next to leave.</summary>
    public T? Oldest { get; private set; }

    public T? Newest { get; private set; }

    public int Count { get; private set; }

    public void InsertNewest(T block) => Insert(block, older: Newest, newer: null);

    public void InsertOldest(T block) => Insert(block, older: null, newer: Oldest);

    /// <summary>Puts a block where it leaves just before <paramref name="neighbour"/>, which is in this queue.</summary>
    public void InsertOlderThan(T neighbour, T block) => Insert(block, neighbour.Older, neighbour);

    /// <summary>Puts a block where it leaves right after <paramref name="neighbour"/>, which is in this queue.</summary>
    public void InsertNewerThan(T neighbour, T block) => Insert(block, neighbour, neighbour.Newer);

    public void Remove(T block)
    {
        if (block.Newer is null)
        {
            Newest = block.Older;
        }
        else
        {
            block.Newer.Older = block.Older;
        }

        if (block.Older is null)
        {
            Oldest = block.Newer;
        }
        else
        {
            block.Older.Newer = block.Newer;
        }

        block.Newer = block.Older = null;
        Count--;
    }

    public IEnumerable<T> OldestFirst()
    {
        for (var block = Oldest; block is not null; block = block.Newer)
        {
            yield return block;
        }
    }

    public IEnumerable<T> NewestFirst()
    {
        for (var block = Newest; block is not null; block = block.Older)
        {
            yield return block;
        }
    }

    private void Insert(T block, T? older, T? newer)
    {
        (block.Older, block.Newer, block.Queue) = (older, newer, number);
        if (older is null)
        {
            Oldest = block;
        }
        else
        {
            older.Newer = block;
        }

        if (newer is null)
        {
            Newest = block;
        }
        else
        {
            newer.Older = block;
        }

        Count++;
    }
}
