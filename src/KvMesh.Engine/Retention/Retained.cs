namespace KvMesh.Engine.Retention;

/// <summary>
/// A block as a retention policy sees it: when it was used, and who precedes and follows it in its chain. The place in the policy's order is the
/// policy's; everything here is written under the lock of whoever owns the policy.
/// </summary>
/// <typeparam name="T">The block itself.</typeparam>
public abstract class Retained<T>
    where T : Retained<T>
{
    /// <summary>Followers of a block that are looked at.</summary>
    private const int MaxFollowers = 8;

    /// <summary>Order of the last use, as the retention policy was told.</summary>
    public long LastUse
    {
        get;
        internal set
        {
            field = value;
            OnUsed(value);
        }
    }

    /// <summary>What a policy remembers the block by when it has left: equal for equal content, evenly spread.</summary>
    public abstract ulong Fingerprint { get; }

    /// <summary>The block before this one in its chain, when it is here.</summary>
    public abstract T? Parent { get; }

    /// <summary>The newest of the blocks that follow this one, as far as they are here.</summary>
    protected internal abstract T? FirstChild { get; }

    /// <summary>The next older block that follows the same parent, as far as they are here.</summary>
    protected internal abstract T? NextSibling { get; }

    /// <summary>Neighbours in the retention policy's order, owned by the policy.</summary>
    internal T? Newer;
    internal T? Older;
    internal bool IsRetained;

    /// <summary>When it became resident, in the numbers of requests.</summary>
    internal long AddedAt;

    /// <summary>Which queue of the policy it is in, and the uses that the policy counts.</summary>
    internal int Queue;
    internal int Uses;

    /// <summary>What is known of it, and whether a block followed it since it is here, as the policy knows them.</summary>
    internal ReuseClass Class;
    internal bool HasFollowers;

    /// <summary>Whether any of the newest blocks that follow this one is such a one. A bounded number is looked at.</summary>
    public bool HasFollower(Func<T, bool> isSuch)
    {
        ArgumentNullException.ThrowIfNull(isSuch);
        var child = FirstChild;
        for (var left = MaxFollowers; child is not null && left > 0; child = child.NextSibling, left--)
        {
            if (isSuch(child))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>A policy noted a use.</summary>
    protected virtual void OnUsed(long request)
    {
    }
}
