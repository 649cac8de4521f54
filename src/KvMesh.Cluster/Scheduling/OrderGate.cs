namespace KvMesh.Cluster.Scheduling;

/// <summary>Lets orders of the newest scheduler in and those of deposed ones not. One of it per node; any thread.</summary>
public sealed class OrderGate
{
    private long _highest;

    /// <summary>The highest fencing token that this node has met.</summary>
    public long Highest => Volatile.Read(ref _highest);

    /// <summary>Whether orders with this token are to be followed. From now on those with a lower one are not.</summary>
    public bool Validate(long token)
    {
        Observe(token);
        return token > 0 && token == Highest;
    }

    /// <summary>Takes note of a token that is in force, as the store tells it.</summary>
    public void Observe(long token)
    {
        var highest = Volatile.Read(ref _highest);
        while (token > highest)
        {
            var seen = Interlocked.CompareExchange(ref _highest, token, highest);
            if (seen == highest)
            {
                return;
            }

            highest = seen;
        }
    }
}
