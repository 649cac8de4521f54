namespace KvMesh.Engine.Retention;

/// <summary>What stands between a candidate and its eviction.</summary>
public enum VictimVerdict
{
    /// <summary>Nothing: the candidate was claimed and leaves now.</summary>
    Take,

    /// <summary>It is being read or was promised to stay.</summary>
    InUse,

    /// <summary>Blocks that follow it would lose their parent.</summary>
    HasChildren,
}

/// <summary>
/// Decides which resident block leaves next. One instance per tenant and arena, or per pool of device memory; every member is called under its
/// owner's order lock, so implementations need no lock of their own. Requests are numbered in order of time, in ticks of
/// 100 ns. All members are O(1), amortised.
/// </summary>
public interface IRetentionPolicy<T>
    where T : Retained<T>
{
    /// <summary>A block became resident. With <paramref name="lowInterest"/> it has yet to show that it is asked for again.</summary>
    void Add(T block, long request, bool lowInterest);

    /// <summary>A request used the block. Uses come in order of time, those of one chain tail first.</summary>
    void Touch(T block, long request);

    /// <summary>Nobody is known who will use the block again: it leaves before others, unless somebody does. Those of one chain from its head on.</summary>
    void Yield(T block)
    {
    }

    /// <summary>The block is no longer resident.</summary>
    void Remove(T block);

    /// <summary>
    /// The next block that leaves, or null when none may. The policy proposes candidates to <paramref name="judge"/>, a bounded
    /// number of them, and keeps the chosen one until it is removed.
    /// </summary>
    T? NextVictim(Func<T, VictimVerdict> judge);

    /// <summary>Resident blocks in the order in which they would leave.</summary>
    IEnumerable<T> LeastValuableFirst();

    /// <summary>Resident blocks from the most to the least valuable, for saving at a clean stop.</summary>
    IEnumerable<T> MostValuableFirst();

    /// <summary>
    /// Uses that are expected of a block that was here once, from now on and for about as long as it takes until blocks are used again; null when the policy does not
    /// know. An estimate: the one member that needs no lock.
    /// </summary>
    double? ExpectedUses(T block) => null;
}
