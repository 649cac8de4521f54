using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using KvMesh.Engine;
using KvMesh.Engine.Blocks;
using KvMesh.Engine.Disk;
using KvMesh.Engine.Leases;
using KvMesh.Protocol;
using KvMesh.Protocol.Arena;
using KvMesh.Protocol.Integrity;
using KvMesh.Protocol.Keys;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvMesh.Benchmarks.Engine;

/// <summary>
/// An engine whose index holds many blocks. The chains that are matched were written and sealed like any other; the others fill
/// index and chain ledger but have no bytes, so that ten million of them fit into the memory of a small machine.
/// </summary>
internal sealed class MatchStore : IDisposable
{
    public const int ChainBlocks = 1_000;

    private const int PayloadBytes = 64;
    private static readonly TimeSpan Lease = TimeSpan.FromSeconds(30);

    private readonly string _folder = Directory.CreateTempSubdirectory("kvmesh-match-").FullName;
    private readonly BlockScope _scope = new("bench-model", "r1", new byte[Limits.ChainHashBytes], 0);
    private readonly BlockEngine _engine;
    private readonly Tenant _tenant;
    private readonly ConnectionLeases _leases;
    private readonly byte[] _hashes;
    private readonly byte[] _unknown = new byte[ChainBlocks * Limits.ChainHashBytes];

    public MatchStore(int blocks, int chains)
    {
        Chains = chains;
        _engine = BlockEngine.Open(
            new EngineOptions
            {
                DataDirectory = _folder,
                ArenaBytes = (long)chains * ChainBlocks * Limits.GranuleBytes * 5 / 4,
                MaxBlocks = Math.Max(blocks, chains * ChainBlocks) + 1_024,
                ConnectionLeaseShare = 1,
                TenantLeaseShare = 1,
                ScrubBytesPerSecond = 0,
                RemoveArenaOnStop = true,
            },
            TimeProvider.System, NullLoggerFactory.Instance);
        _tenant = _engine.Tenants.All[0];
        _leases = _engine.OpenLeases(_tenant);
        _hashes = new byte[chains * ChainBlocks * Limits.ChainHashBytes];
        for (var block = 0; block < chains * ChainBlocks; block++)
        {
            WriteHash(_hashes.AsSpan(block * Limits.ChainHashBytes), block);
        }

        WriteHash(_unknown, -1);
        Parallel.For(0, chains, Store);
        Parallel.For(chains, blocks / ChainBlocks, Pretend);
    }

    public int Chains { get; }

    public long Blocks => RegistryOf(_engine).Index.Count;

    /// <summary>Matches one chain, or one that is not there when <paramref name="chain"/> is negative, and leases what matched.</summary>
    public int Match(int chain, int count)
    {
        var hashes = chain < 0 ? _unknown : _hashes.AsSpan(chain * ChainBlocks * Limits.ChainHashBytes, count * Limits.ChainHashBytes);
        return _engine.MatchPrefix(_tenant, new KeyRun(_scope.Bytes.Span, hashes), _leases, Lease).Blocks;
    }

    /// <summary>Matches and leases one block alone.</summary>
    public int MatchOne(int chain, int block)
    {
        var hash = _hashes.AsSpan(((chain * ChainBlocks) + block) * Limits.ChainHashBytes, Limits.ChainHashBytes);
        return _engine.MatchPrefix(_tenant, new KeyRun(_scope.Bytes.Span, hash), _leases, Lease).Blocks;
    }

    public void Dispose()
    {
        _leases.Dispose();
        _engine.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_registry")]
    private static extern ref BlockRegistry RegistryOf(BlockEngine engine);

    private static void WriteHash(Span<byte> hash, long number)
    {
        BinaryPrimitives.WriteInt64LittleEndian(hash, number);
        BinaryPrimitives.WriteInt64LittleEndian(hash[8..], ~number);
    }

    private void Store(int chain)
    {
        var parent = Array.Empty<byte>();
        for (var block = 0; block < ChainBlocks; block++)
        {
            var key = _scope.KeyOf(_hashes.AsSpan(((chain * ChainBlocks) + block) * Limits.ChainHashBytes, Limits.ChainHashBytes));
            var status = _engine.TryReserve(_tenant, key, PayloadBytes, BlockTraits.Content(_scope.Model, _scope.Revision, parent), out var reservation);
            if (status != ReserveStatus.Reserved)
            {
                throw new InvalidOperationException($"Block {block} of chain {chain} was not reserved: {status}.");
            }

            reservation!.Payload.Clear();
            ChecksumTable.Compute(reservation.Payload, reservation.Checksums);
            _engine.Seal(reservation, default);
            parent = key;
        }
    }

    private void Pretend(int chain)
    {
        var registry = RegistryOf(_engine);
        var scope = _tenant.Scopes.Of(_scope.Model, _scope.Revision) ?? throw new InvalidOperationException("The tenant has no room for a scope.");
        var parent = default(KeyDigest);
        Span<byte> hash = stackalloc byte[Limits.ChainHashBytes];
        hash.Clear();
        for (var index = 0; index < ChainBlocks; index++)
        {
            var number = ((long)chain * ChainBlocks) + index;
            WriteHash(hash, number);
            var key = _scope.KeyOf(hash);
            var digest = registry.DigestOf(_tenant, key);
            var flags = BlockFlags.Content | (index == 0 ? BlockFlags.None : BlockFlags.HasParent);
            var block = new Block(scope, digest, key, PayloadBytes, flags, parent) { Disk = new DiskLocation(1, number * Limits.GranuleBytes) };
            registry.Restore(block);
            registry.Link(block);
            parent = digest;
        }
    }
}
