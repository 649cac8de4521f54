using System.Diagnostics;
using System.Diagnostics.Metrics;
using KvMesh.Cluster.Map;
using KvMesh.Cluster.Membership;
using KvMesh.Protocol;
using KvMesh.Protocol.Keys;

namespace KvMesh.LoadTest.Verbs;

/// <summary>A map and a dictionary with the same blocks, and chains to match in them.</summary>
internal sealed class MapStore : IDisposable
{
    public const int Chains = 200;
    public const int ChainBlocks = 1000;

    private const string TenantName = "default";
    private const int StepLocations = 100_000;

    private readonly DigestSecret _secret = new(0x0123456789abcdef, 0xfedcba9876543210);
    private readonly BlockScope _scope = new("meta-llama/Llama-3.1-70B-Instruct", "main", new byte[32], 0);
    private readonly Meter _meter = new("load test");
    private readonly BlockMap _map = new(new BlockMapOptions());
    private readonly BlockLocator _locator;
    private readonly byte[][] _chains = new byte[Chains][];
    private readonly byte[][] _halves = new byte[Chains][];
    private readonly BlockHolders[] _holders = new BlockHolders[ChainBlocks];
    private readonly byte[] _key;
    private readonly int _blocks;
    private readonly ushort _node;
    private readonly KeyDigest[] _changing;
    private Dictionary<KeyDigest, uint> _dictionary = [];

    public MapStore(int blocks)
    {
        _blocks = blocks;
        _locator = new BlockLocator(_map, new NoDirectories(), new MapMetrics(_map, _meter));
        _locator.Role = new DirectoryRole(SlotAssignment.Empty, _secret, SlotSet.All(), 0);
        _node = _map.Join(new NodeRecord { Id = NodeId.Parse("node"), NativeAddress = "127.0.0.1:1" });
        _key = _scope.KeyOf(new byte[Limits.ChainHashBytes]);
        _changing = [.. Enumerable.Range(0, 1 << 20).Select(index => DigestOf(-1 - index))];
        for (var chain = 0; chain < Chains; chain++)
        {
            _chains[chain] = new byte[ChainBlocks * Limits.ChainHashBytes];
            for (var block = 0; block < ChainBlocks; block++)
            {
                WriteHash(((long)chain * ChainBlocks) + block, _chains[chain].AsSpan(block * Limits.ChainHashBytes, Limits.ChainHashBytes));
            }

            // Behind the half nothing is known: the hashes are nobody's.
            _halves[chain] = [.. _chains[chain]];
            new Random(chain).NextBytes(_halves[chain].AsSpan(ChainBlocks / 2 * Limits.ChainHashBytes));
        }
    }

    /// <summary>Fills the map. Returns after each step how many bytes each location takes: of the process, and of the tables.</summary>
    public IReadOnlyList<(int Locations, double Process, double Tables)> Fill()
    {
        var steps = new List<(int, double, double)>();
        var before = ResidentBytes();
        for (var block = 0; block < _blocks; block++)
        {
            _map.Set(DigestOf(block), _node, MapLocation.HostTier, 4 << 20);
            if ((block + 1) % StepLocations == 0 || block + 1 == _blocks)
            {
                steps.Add((block + 1, (ResidentBytes() - before) / (double)(block + 1), _map.Bytes / (double)(block + 1)));
            }
        }

        return steps;
    }

    public void FillDictionary()
    {
        _dictionary = new Dictionary<KeyDigest, uint>(_blocks);
        for (var block = 0; block < _blocks; block++)
        {
            _dictionary[DigestOf(block)] = _node;
        }
    }

    public int Match(int chain) => _locator.MatchPrefix(TenantName, _scope.Bytes.Span, _chains[chain], 0, _holders, TimeSpan.Zero);

    public int MatchHalf(int chain) => _locator.MatchPrefix(TenantName, _scope.Bytes.Span, _halves[chain], 0, _holders, TimeSpan.Zero);

    public int MatchDictionary(int chain)
    {
        Span<byte> key = stackalloc byte[_key.Length];
        _key.CopyTo(key);
        var tenant = TenantNumbers.Of(TenantName);
        for (var block = 0; block < ChainBlocks; block++)
        {
            _chains[chain].AsSpan(block * Limits.ChainHashBytes, Limits.ChainHashBytes).CopyTo(key[^Limits.ChainHashBytes..]);
            if (!_dictionary.TryGetValue(KeyDigest.Compute(_secret, tenant, key), out var node))
            {
                return block;
            }

            _holders[block] = default(BlockHolders).With((ushort)node);
        }

        return ChainBlocks;
    }

    /// <summary>A million other blocks come in turn, then go.</summary>
    public void Change(long number)
    {
        var digest = _changing[number % _changing.Length];
        if (number / _changing.Length % 2 == 0)
        {
            _map.Set(digest, _node, MapLocation.DiskTier, 4 << 20);
        }
        else
        {
            _map.Remove(digest, _node);
        }
    }

    public void Dispose()
    {
        _map.Dispose();
        _meter.Dispose();
    }

    private static long ResidentBytes()
    {
        using var process = Process.GetCurrentProcess();
        return process.WorkingSet64;
    }

    private static void WriteHash(long block, Span<byte> hash)
    {
        // As random as a SHA-256, and cheaper to make ten million times.
        var random = (ulong)block;
        for (var word = 0; word < hash.Length; word += sizeof(ulong))
        {
            random += 0x9e3779b97f4a7c15;
            var mixed = (random ^ (random >> 30)) * 0xbf58476d1ce4e5b9;
            BitConverter.TryWriteBytes(hash[word..], mixed ^ (mixed >> 29));
        }
    }

    private KeyDigest DigestOf(long block)
    {
        WriteHash(block, _key.AsSpan(_key.Length - Limits.ChainHashBytes));
        return KeyDigest.Compute(_secret, TenantNumbers.Of(TenantName), _key);
    }

    private sealed class NoDirectories : IDirectoryClient
    {
        public bool Locate(SlotAssignment assignment, in DigestSecret secret, ReadOnlySpan<KeyDigest> digests, Span<BlockHolders> holders, BlockMap map, TimeSpan limit) => false;

        public bool LocateAll(SlotAssignment assignment, in DigestSecret secret, ReadOnlySpan<KeyDigest> digests, HolderLists holders, BlockMap map, TimeSpan limit) => false;
    }
}
