using KvMesh.Client.Connections;
using KvMesh.Client.Operations;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Native.Messages;

namespace KvMesh.Client.SharedMemory;

/// <summary>Leases of a few consecutive blocks, taken with one request and used in order.</summary>
/// <param name="keys">The blocks.</param>
/// <param name="first">Index of the first of them in the whole run.</param>
/// <param name="time">Clock of their age.</param>
internal sealed class LeaseBatch(KeySelection keys, int first, TimeProvider time)
{
    private long _askedAt = time.GetTimestamp();

    public LeaseOperation Lease { get; } = new(keys);

    /// <summary>The connection that has the leases; null while the node cannot be reached.</summary>
    public NodeConnection? Connection { get; set; }

    public int Count => keys.Count;

    /// <summary>Index in the whole run of the block that comes next.</summary>
    public int Next => first + Taken;

    /// <summary>Blocks of this batch that were used.</summary>
    public int Taken { get; private set; }

    /// <summary>Whether the node answered with grants.</summary>
    public bool HasGrants => Connection is not null && Lease.Outcome == OperationOutcome.Done;

    /// <summary>Whether the budget had no room for the first block.</summary>
    public bool IsRefused => HasGrants && Lease.Grants[0].Status == NativeStatus.LeaseRefused;

    /// <summary>Whether the budget had no room for some block.</summary>
    public bool IsCurtailed => HasGrants && Array.Exists(Lease.Grants, grant => grant.Status == NativeStatus.LeaseRefused);

    /// <summary>Bytes of the largest block; 0 when none was leased.</summary>
    public int LargestBytes
    {
        get
        {
            var largest = 0u;
            foreach (var grant in Lease.Grants)
            {
                largest = Math.Max(largest, grant.PayloadBytes);
            }

            return (int)largest;
        }
    }

    public void NoteAsked() => _askedAt = time.GetTimestamp();

    /// <summary>Takes the next block. False when none is left, or the rest is better leased anew: the budget had no room, or the leases end soon.</summary>
    public bool TryTake(out KeySelection key, out LeaseGrant grant)
    {
        if (Taken == Count || (Taken > 0 && HasGrants && IsOver()))
        {
            (key, grant) = (default, default);
            return false;
        }

        key = keys.Slice(Taken, 1);
        grant = Lease.Grants[Taken++];
        return true;
    }

    /// <summary>Takes all that are left, to be read in another way. Their leases go back.</summary>
    public KeySelection TakeRest()
    {
        GiveBackRest();
        var rest = keys.Slice(Taken, Count - Taken);
        Taken = Count;
        return rest;
    }

    /// <summary>Gives back the leases of blocks that were not taken.</summary>
    public void GiveBackRest() => Connection?.GiveBack(Lease.Grants.AsSpan(Taken));

    private bool IsOver() => Lease.Grants[Taken].Status == NativeStatus.LeaseRefused || time.GetElapsedTime(_askedAt) > Lease.Duration / 2;
}
