using KvMesh.Engine;
using KvMesh.Engine.Blocks;
using KvMesh.Engine.Coding;
using KvMesh.Engine.Leases;
using KvMesh.Engine.Retention;
using KvMesh.Protocol.Integrity;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvMesh.TestKit;

/// <summary>A real engine on a temporary folder, with the few lines every test of it needs.</summary>
public sealed class TestEngine : IDisposable
{
    private static readonly string SharedArenaDirectory = new EngineOptions().ArenaDirectory;

    private readonly TemporaryDirectory _directory = new();
    private readonly ILoggerFactory _loggers;

    /// <param name="loggers">Where its log goes; null: nowhere.</param>
    /// <param name="diskCoder">Encodes what goes to disk; null: nothing is.</param>
    /// <param name="hostCoder">Encodes what is in RAM; null: nothing is.</param>
    public TestEngine(
        Action<EngineOptions>? configure = null, TimeProvider? time = null, ILoggerFactory? loggers = null, IPayloadCoder? diskCoder = null,
        IPayloadCoder? hostCoder = null)
    {
        DiskCoder = diskCoder;
        HostCoder = hostCoder;
        _loggers = loggers ?? NullLoggerFactory.Instance;
        Options = new EngineOptions
        {
            DataDirectory = _directory.Path,
            ArenaBytes = 32 << 20,
            MaxBlocks = 1 << 14,
            Prefault = false,

            // So that a test can say which block leaves next.
            Retention = RetentionKind.Lru,
            ScrubBytesPerSecond = 0,
            RemoveArenaOnStop = true,
            StopBudget = Eventually.Patience,
        };
        configure?.Invoke(Options);
        Time = time ?? TimeProvider.System;
        Engine = BlockEngine.Open(Options, Time, _loggers, DiskCoder, HostCoder);
        Leases = Engine.OpenLeases(Tenant);
    }

    public EngineOptions Options { get; }

    public TimeProvider Time { get; }

    /// <summary>What the engine got, and gets at the next restart.</summary>
    public IPayloadCoder? DiskCoder { get; set; }

    /// <inheritdoc cref="DiskCoder"/>
    public IPayloadCoder? HostCoder { get; set; }

    public BlockEngine Engine { get; private set; }

    public Tenant Tenant => Engine.Tenants.All[0];

    public ConnectionLeases Leases { get; private set; }

    /// <summary>Stops the engine cleanly and opens the same folder again.</summary>
    public void Restart(bool keepArena = true)
    {
        Options.RemoveArenaOnStop = !keepArena;
        Engine.Dispose();
        Options.RemoveArenaOnStop = true;
        Engine = BlockEngine.Open(Options, Time, _loggers, DiskCoder, HostCoder);
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
        // In a folder of the test's own it is the test that decides what stays.
        Options.RemoveArenaOnStop |= Options.ArenaDirectory == SharedArenaDirectory;
        Engine.Dispose();
        _directory.Dispose();
    }
}
