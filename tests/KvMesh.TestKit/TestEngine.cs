using KvMesh.Engine;
using KvMesh.Engine.Blocks;
using KvMesh.Engine.Leases;
using KvMesh.Protocol.Integrity;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvMesh.TestKit;

/// <summary>A real engine on a temporary folder, with the few lines every test of it needs.</summary>
public sealed class TestEngine : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    public TestEngine(Action<EngineOptions>? configure = null, TimeProvider? time = null)
    {
        Options = new EngineOptions
        {
            DataDirectory = _directory.Path,
            ArenaBytes = 32 << 20,
            MaxBlocks = 1 << 14,
            Prefault = false,
            ScrubBytesPerSecond = 0,
            RemoveArenaOnStop = true,
        };
        configure?.Invoke(Options);
        Time = time ?? TimeProvider.System;
        Engine = BlockEngine.Open(Options, Time, NullLoggerFactory.Instance);
        Leases = Engine.OpenLeases(Tenant);
    }

    public EngineOptions Options { get; }

    public TimeProvider Time { get; }

    public BlockEngine Engine { get; private set; }

    public Tenant Tenant => Engine.Tenants.All[0];

    public ConnectionLeases Leases { get; private set; }

    /// <summary>Stops the engine cleanly and opens the same folder again.</summary>
    public void Restart(bool keepArena = true)
    {
        Options.RemoveArenaOnStop = !keepArena;
        Engine.Dispose();
        Options.RemoveArenaOnStop = true;
        Engine = BlockEngine.Open(Options, Time, NullLoggerFactory.Instance);
        Leases = Engine.OpenLeases(Tenant);
    }

    /// <summary>Writes one block whole.</summary>
    public SealStatus Put(ReadOnlySpan<byte> key, ReadOnlySpan<byte> payload, in BlockTraits traits, SealOptions options = default, Tenant? tenant = null)
    {
        var status = Engine.TryReserve(tenant ?? Tenant, key, payload.Length, traits, out var reservation);
        if (status != ReserveStatus.Reserved)
        {
            return status == ReserveStatus.AlreadyPresent ? SealStatus.AlreadyPresent : SealStatus.Full;
        }

        payload.CopyTo(reservation!.Payload);
        ChecksumTable.Compute(payload, reservation.Checksums);
        return Engine.Seal(reservation, options);
    }

    public SealStatus PutContent(ReadOnlySpan<byte> key, ReadOnlySpan<byte> payload, ReadOnlySpan<byte> parent = default) =>
        Put(key, payload, BlockTraits.Content("model", "1", parent));

    /// <summary>The payload of a block, verified, or null for a miss.</summary>
    public byte[]? Get(ReadOnlySpan<byte> key, Tenant? tenant = null)
    {
        if (!Engine.TryRead(tenant ?? Tenant, key, ReadIntent.Use, out var read))
        {
            return null;
        }

        using (read)
        {
            return read.Verify() ? read.Payload.ToArray() : null;
        }
    }

    public void Dispose()
    {
        Engine.Dispose();
        _directory.Dispose();
    }
}
