using System.Diagnostics.CodeAnalysis;
using KvMesh.Cluster.Map;
using KvMesh.Protocol;
using KvMesh.Protocol.Keys;

namespace KvMesh.Cluster.Demand;

/// <summary>
/// Takes note of what clients ask for without holding them up: a request copies its chain into a free place and goes on; a timer counts what lies there. A
/// request that finds no place is not copied, and counts in the next one that does. The caller's side takes no lock and no memory. Any thread.
/// </summary>
public sealed class DemandSampler : IDisposable
{
    /// <summary>Requests that are copied between two counts.</summary>
    private const int Places = 32;

    /// <summary>Longest chain that is copied; of a longer one the beginning is.</summary>
    public const int MaxBlocks = 1024;

    /// <summary>Bytes of hashes that are copied; of a longer chain the beginning is.</summary>
    public const int MaxHashBytes = 2 * MaxBlocks * Limits.ChainHashBytes;

    private const int MaxTextBytes = Limits.MaxKeyBytes;
    private const int MaxOneHashBytes = byte.MaxValue;
    private const int Free = 0;
    private const int Taken = 1;
    private const int Filled = 2;

    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(100);

    private readonly Place[] _places = [.. Enumerable.Range(0, Places).Select(_ => new Place())];
    private readonly DemandTable _table;
    private readonly Func<DigestSecret?> _secret;
    private readonly ITimer _timer;
    private int _next;
    private int _uncounted;
    private int _isCounting;

    /// <param name="secret">Of the cluster's digests; null: not known yet, and nothing is counted.</param>
    public DemandSampler(DemandTable table, Func<DigestSecret?> secret, TimeProvider time)
    {
        ArgumentNullException.ThrowIfNull(time);
        _table = table;
        _secret = secret;
        _timer = time.CreateTimer(_ => Count(), null, Interval, Interval);
    }

    /// <summary>A client asked for the first blocks of a chain.</summary>
    /// <param name="hashes">Chain hashes in order, 32 bytes each.</param>
    /// <param name="bytes">Payload bytes of them; 0 when not known.</param>
    public void Note(string tenant, ReadOnlySpan<byte> scope, ReadOnlySpan<byte> hashes, long bytes = 0)
    {
        if (hashes.IsEmpty || scope.Length > MaxTextBytes || !TryTake(out var place, out var requests))
        {
            return;
        }

        var blocks = Math.Min(hashes.Length / Limits.ChainHashBytes, MaxBlocks);
        var isWhole = blocks * Limits.ChainHashBytes == hashes.Length;
        hashes[..(blocks * Limits.ChainHashBytes)].CopyTo(place.Hashes);
        scope.CopyTo(place.Text);
        place.Fill(tenant, (scope.Length, 0), blocks, requests, isWhole ? bytes : 0);
        for (var block = 1; block <= blocks; block++)
        {
            place.Ends[block] = block * Limits.ChainHashBytes;
        }

        Volatile.Write(ref place.State, Filled);
    }

    /// <summary>As the other one, for keys that differ in their middle only and bring hashes of any length.</summary>
    /// <param name="before">What every key begins with.</param>
    /// <param name="after">What every key ends with.</param>
    /// <param name="hashes">What is between, in order, one after the other.</param>
    /// <param name="lengths">Bytes of each.</param>
    public void Note(string tenant, ReadOnlySpan<byte> before, ReadOnlySpan<byte> after, ReadOnlySpan<byte> hashes, ReadOnlySpan<byte> lengths)
    {
        if (lengths.IsEmpty || before.Length + after.Length > MaxTextBytes || !TryTake(out var place, out var requests))
        {
            return;
        }

        var blocks = 0;
        for (var end = 0; blocks < Math.Min(lengths.Length, MaxBlocks) && end + lengths[blocks] <= MaxHashBytes;)
        {
            end += lengths[blocks];
            place.Ends[++blocks] = end;
        }

        hashes[..place.Ends[blocks]].CopyTo(place.Hashes);
        before.CopyTo(place.Text);
        after.CopyTo(place.Text.AsSpan(before.Length));
        place.Fill(tenant, (before.Length, after.Length), blocks, requests, bytes: 0);
        Volatile.Write(ref place.State, Filled);
    }

    /// <summary>Counts what was copied. Called by the timer; a test may call it.</summary>
    public void Count()
    {
        if (Interlocked.Exchange(ref _isCounting, 1) != 0)
        {
            return;
        }

        try
        {
            var secret = _secret();
            foreach (var place in _places)
            {
                if (Volatile.Read(ref place.State) == Filled)
                {
                    if (secret is { } known)
                    {
                        _table.Note(place.Tenant, new PlaceChain(place, known), place.Blocks, Math.Max(1, place.Requests));
                    }

                    Volatile.Write(ref place.State, Free);
                }
            }
        }
        finally
        {
            Volatile.Write(ref _isCounting, 0);
        }
    }

    public void Dispose() => _timer.Dispose();

    /// <summary>A free place, and how many requests it stands for. False: this one counts in the next that finds one.</summary>
    private bool TryTake([NotNullWhen(true)] out Place? place, out int requests)
    {
        requests = Interlocked.Increment(ref _uncounted);
        place = _places[(uint)Interlocked.Increment(ref _next) % Places];
        if (Volatile.Read(ref place.State) != Free || Interlocked.CompareExchange(ref place.State, Taken, Free) != Free)
        {
            return false;
        }

        Interlocked.Add(ref _uncounted, -requests);
        return true;
    }

    private sealed class Place
    {
        /// <summary>What all keys have before their hashes, and behind it what they have after them.</summary>
        public readonly byte[] Text = new byte[MaxTextBytes];
        public readonly byte[] Hashes = new byte[MaxHashBytes];

        /// <summary>Where the hash of each block ends; the first entry is 0.</summary>
        public readonly int[] Ends = new int[MaxBlocks + 1];
        public int State;
        public string Tenant = "";
        public int BeforeBytes;
        public int AfterBytes;
        public int Blocks;
        public int Requests;
        public long Bytes;

        public void Fill(string tenant, (int BeforeBytes, int AfterBytes) text, int blocks, int requests, long bytes)
        {
            (Tenant, Blocks, Requests, Bytes) = (tenant, blocks, requests, bytes);
            (BeforeBytes, AfterBytes) = text;
        }
    }

    private readonly struct PlaceChain(Place place, DigestSecret secret) : IRequestedChain
    {
        public int KeyBytes => place.BeforeBytes + place.AfterBytes + (place.Ends[place.Blocks] / place.Blocks);

        public KeyDigest DigestAt(int index)
        {
            Span<byte> key = stackalloc byte[MaxTextBytes + MaxOneHashBytes];
            return KeyDigest.Compute(secret, TenantNumbers.Of(place.Tenant), Write(index, key));
        }

        public ReadOnlyMemory<byte> CopyKeyAt(int index)
        {
            Span<byte> key = stackalloc byte[MaxTextBytes + MaxOneHashBytes];
            return Write(index, key).ToArray();
        }

        public long PayloadBytesOf(int blocks) => place.Bytes / place.Blocks * blocks;

        private ReadOnlySpan<byte> Write(int index, Span<byte> key)
        {
            var hash = place.Hashes.AsSpan(place.Ends[index]..place.Ends[index + 1]);
            place.Text.AsSpan(0, place.BeforeBytes).CopyTo(key);
            hash.CopyTo(key[place.BeforeBytes..]);
            place.Text.AsSpan(place.BeforeBytes, place.AfterBytes).CopyTo(key[(place.BeforeBytes + hash.Length)..]);
            return key[..(place.BeforeBytes + hash.Length + place.AfterBytes)];
        }
    }
}
