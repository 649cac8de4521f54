namespace KvMesh.Engine.Retention;

/// <summary>The orders in which resident blocks may leave.</summary>
public enum RetentionKind
{
    /// <summary>Least recently used, a chain from its end.</summary>
    Lru,

    /// <summary>S3-FIFO, for comparison.</summary>
    S3Fifo,

    /// <summary>ARC, for comparison.</summary>
    Arc,

    /// <summary>W-TinyLFU, for comparison.</summary>
    WTinyLfu,

    /// <summary>The learned chance of reuse by class and age, beside a shadow of LRU.</summary>
    Hazard,
}

/// <summary>Makes policies by name.</summary>
public static class RetentionPolicies
{
    /// <exception cref="ArgumentOutOfRangeException">There is no such kind.</exception>
    public static IRetentionPolicy<T> Create<T>(RetentionKind kind)
        where T : Retained<T> =>
        kind switch
        {
            RetentionKind.Lru => new LruPolicy<T>(),
            RetentionKind.S3Fifo => new S3FifoPolicy<T>(),
            RetentionKind.Arc => new ArcPolicy<T>(),
            RetentionKind.WTinyLfu => new WTinyLfuPolicy<T>(),
            RetentionKind.Hazard => new HazardPolicy<T>(),
            _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "There is no such order of leaving."),
        };
}
