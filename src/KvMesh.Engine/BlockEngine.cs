using KvMesh.Engine.Blocks;
using KvMesh.Engine.Events;
using KvMesh.Engine.Leases;
using KvMesh.Engine.Telemetry;
using Microsoft.Extensions.Logging;

namespace KvMesh.Engine;

/// <summary>
/// Keeps blocks: the door of this project. Every member may be called from any thread. Operations on blocks report their
/// outcome as values and never throw. Calls block while they copy or read a disk, so callers own their threads.
/// </summary>
public sealed class BlockEngine : IDisposable
{
    private BlockEngine()
    {
    }

    /// <summary>Opens the data directory, adopts what an earlier process left, and begins to serve.</summary>
    /// <exception cref="EngineStartException">The directory is in use, or the machine cannot give what the options ask.</exception>
    public static BlockEngine Open(EngineOptions options, TimeProvider time, ILoggerFactory loggers) => throw new NotImplementedException();

    public TenantTable Tenants => throw new NotImplementedException();

    public BlockEventLog Events => throw new NotImplementedException();

    /// <summary>Figures of this moment, for operators.</summary>
    public EngineSnapshot Snapshot() => throw new NotImplementedException();

    /// <summary>
    /// Opens a block for reading. The caller disposes <paramref name="read"/> as soon as the bytes are copied or sent; until then
    /// they do not move. A hit below RAM is brought into the arena first. False is a miss.
    /// </summary>
    public bool TryRead(Tenant tenant, ReadOnlySpan<byte> key, ReadIntent intent, out BlockRead read) => throw new NotImplementedException();

    /// <summary>Whether the block is readable now. With a lease it stays so for <paramref name="lease"/>, budget permitting.</summary>
    public bool Exists(Tenant tenant, ReadOnlySpan<byte> key, ConnectionLeases leases, TimeSpan lease) => throw new NotImplementedException();

    /// <summary>Finds the longest prefix of <paramref name="keys"/> that is here and leases it. Counts as one use of each matched block.</summary>
    public PrefixMatch MatchPrefix(Tenant tenant, KeyRun keys, ConnectionLeases leases, TimeSpan lease) => throw new NotImplementedException();

    /// <summary>What is known of a block, without counting a use.</summary>
    public bool TryInspect(Tenant tenant, ReadOnlySpan<byte> key, out BlockInfo info) => throw new NotImplementedException();

    /// <summary>Sets aside space for a payload. The key does not exist until the reservation is sealed.</summary>
    public ReserveStatus TryReserve(
        Tenant tenant, ReadOnlySpan<byte> key, int payloadBytes, in BlockTraits traits, out Reservation? reservation) => throw new NotImplementedException();

    /// <summary>
    /// Makes a filled reservation visible: its payload and checksum table are complete. Ends the reservation whatever the outcome.
    /// </summary>
    public SealStatus Seal(Reservation reservation, in SealOptions options) => throw new NotImplementedException();

    /// <summary>As <see cref="Seal(Reservation, in SealOptions)"/>, and opens the block that was there before, for SET's GET.</summary>
    public SealStatus Seal(Reservation reservation, in SealOptions options, out BlockRead? previous) => throw new NotImplementedException();

    /// <summary>Gives a reservation back. Nothing becomes visible.</summary>
    public void Abort(Reservation reservation) => throw new NotImplementedException();

    /// <summary>Removes a block at once, also under a lease. False when there was none.</summary>
    public bool Remove(Tenant tenant, ReadOnlySpan<byte> key) => throw new NotImplementedException();

    /// <summary>Changes when a block expires, in Unix milliseconds; 0 never. False when there is no such block.</summary>
    public bool SetExpiry(Tenant tenant, ReadOnlySpan<byte> key, long expiresAt) => throw new NotImplementedException();

    /// <summary>Removes every block of a tenant, or of one model, or of one revision, in constant time. Null stands for all.</summary>
    /// <returns>Blocks that were visible before.</returns>
    public long Purge(Tenant tenant, string? model, string? revision) => throw new NotImplementedException();

    /// <summary>
    /// Visits keys of a tenant from <paramref name="cursor"/> on, which is 0 at first, and returns the next cursor, 0 at the end.
    /// A key that is present during the whole iteration is visited at least once.
    /// </summary>
    public long Scan(Tenant tenant, long cursor, int count, Action<ReadOnlyMemory<byte>, BlockInfo> visit) => throw new NotImplementedException();

    /// <summary>Opens the ledger of leases of one connection.</summary>
    public ConnectionLeases OpenLeases(Tenant tenant) => throw new NotImplementedException();

    /// <summary>Checksums of a block did not match what a client received: verify it and quarantine it if it is bad.</summary>
    public void ReportMismatch(Tenant tenant, ReadOnlySpan<byte> key) => throw new NotImplementedException();

    /// <summary>Stops cleanly: saves RAM blocks to disk within the budget and leaves the arena to the next process.</summary>
    public void Dispose() => throw new NotImplementedException();
}

/// <summary>The engine cannot start; the message says what to change.</summary>
public sealed class EngineStartException : Exception
{
    public EngineStartException()
    {
    }

    public EngineStartException(string message)
        : base(message)
    {
    }

    public EngineStartException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
