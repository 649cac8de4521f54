using KvMesh.Engine.Arena;
using KvMesh.Engine.Blocks;
using KvMesh.Engine.Disk;
using KvMesh.Engine.Events;
using KvMesh.Engine.FarTiers;
using KvMesh.Engine.Host;
using KvMesh.Engine.Integrity;
using KvMesh.Engine.Leases;
using KvMesh.Engine.Retention;
using KvMesh.Engine.Telemetry;
using KvMesh.Engine.Tiering;
using KvMesh.Protocol;
using Microsoft.Extensions.Logging;

namespace KvMesh.Engine;

/// <summary>Puts the parts of one engine together, runs their background work, and takes them down in order.</summary>
internal sealed partial class EngineHost : IDisposable
{
    /// <summary>Longest time that an expired block which nobody asks for keeps its space.</summary>
    private static readonly TimeSpan SweepPeriod = TimeSpan.FromSeconds(30);

    private const long MinArenaBytes = 16 * Limits.GranuleBytes;

    private readonly EngineOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly DataDirectory _directory;
    private readonly List<HostTier> _hosts = [];
    private readonly List<BackgroundLoop> _loops = [];
    private readonly RequestClock _clock;
    private readonly DateTimeOffset _startedAt;
    private Prefaulter? _prefaulter;
    private DiskTier? _disk;
    private DiskMover? _mover;
    private BackgroundLoop? _sweep;
    private FarLookup? _far;
    private long _sweepAsked;
    private int _isStopped;

    /// <summary>Whether scopes were purged since the last sweep began.</summary>
    private bool _hasPurged;

    private EngineHost(EngineOptions options, DataDirectory directory, TimeProvider time, ILogger logger)
    {
        _options = options;
        _directory = directory;
        _time = time;
        _logger = logger;
        _startedAt = time.GetUtcNow();
        _clock = new RequestClock(time);
        Registry = new BlockRegistry(new BlockIndex(options.MaxBlocks), Events, directory.Secret, time);
        Evictor = new Evictor(Registry, Counters, time);
        Tenants = OpenTenants();
    }

    public BlockEventLog Events { get; } = new();

    public EngineCounters Counters { get; } = new();

    public BlockRegistry Registry { get; }

    public Evictor Evictor { get; }

    public TenantTable Tenants { get; }

    /// <summary>Orders to bring blocks here; null while there is no tier to bring them from.</summary>
    public FetchOrders? FetchOrders { get; private set; }

    public static EngineHost Open(EngineOptions options, TimeProvider time, ILogger logger)
    {
        var directory = DataDirectory.Open(options.DataDirectory);
        try
        {
            ArenaFiles.RemoveAbandoned(options.ArenaDirectory, logger);
            var host = new EngineHost(options, directory, time, logger);
            host.Recover();
            return host;
        }
        catch
        {
            directory.Dispose();
            throw;
        }
    }

    /// <summary>Begins the background work, once the engine is complete.</summary>
    public void Start(BlockEngine engine, ILogger logger)
    {
        var scrubber = new Scrubber(engine, Registry, Counters, _options.ScrubBytesPerSecond);
        _loops.Add(new BackgroundLoop("leases", TimeSpan.FromMilliseconds(250), ExpireLeases, logger));
        _sweep = new BackgroundLoop("sweep", SweepPeriod, Sweep, logger);
        _loops.Add(_sweep);
        _loops.Add(new BackgroundLoop("scrub", TimeSpan.FromSeconds(1.0 / Scrubber.StepsPerSecond), scrubber.Step, logger));
        if (_mover is { } mover)
        {
            _loops.Add(new BackgroundLoop("demote", TimeSpan.FromMilliseconds(10), () => mover.DemoteAhead(_hosts), logger));
        }

        if (_options.Prefault)
        {
            _prefaulter = new Prefaulter(_hosts);
            _loops.Add(new BackgroundLoop("prefault", Prefaulter.Period, _prefaulter.Step, logger));
        }
    }

    /// <summary>Begins to ask tiers beyond this node. Once.</summary>
    public FarLookup StartFar(BlockWriter writer)
    {
        _far = new FarLookup(Registry, writer, _options.FarTiers, _time);
        FetchOrders = new FetchOrders(_far, Registry, _options.FarTiers, _time, _logger);
        if (_options.FarTiers.OffersLeaving)
        {
            var offers = new LeavingOffers(_far, () => _mover is not { } mover || mover.IsDiskFull());
            _loops.Add(new BackgroundLoop("offer", LeavingOffers.Period, () => offers.Step(_hosts), _logger));
        }

        return _far;
    }

    public bool TryLoadAndOpen(Block block) => _mover is not null && _mover.TryLoadAndOpen(block);

    /// <summary>The expiry of a block that is on disk has changed.</summary>
    public void NoteExpiry(Block block, bool isSooner) => _mover?.NoteExpiry(block, isSooner);

    /// <summary>After a purge: its epochs are on disk before it is acknowledged, and its space comes back at once.</summary>
    public void EndPurge()
    {
        _directory.WriteScopes(Tenants.All);
        Volatile.Write(ref _hasPurged, true);
        if (_sweep is { } sweep)
        {
            Interlocked.Exchange(ref _sweepAsked, sweep.Signal());
        }
    }

    /// <summary>Waits until the space of everything purged so far is free, open reads apart. False: not within that time.</summary>
    public bool AwaitPurge(TimeSpan patience) => _sweep is not { } sweep || sweep.Wait(Interlocked.Read(ref _sweepAsked), patience);

    public void LogQuarantine(Block block) =>
        Log.Quarantined(_logger, block.Tenant.Name, Convert.ToHexStringLower(block.Key), block.PayloadBytes);

    public EngineSnapshot Snapshot()
    {
        var hosts = _hosts.Select(host => host.Snapshot(_prefaulter?.WarmBytesOf(host) ?? 0)).ToArray();
        return new EngineSnapshot(
            _hosts[0].Arena.Header.Incarnation, _startedAt, [.. TierSnapshots()], hosts, [.. Tenants.All.Select(SnapshotOf)], Traffic(), Integrity())
        {
            FarTiers = [.. _far?.Tiers.Select(tier => tier.Snapshot()) ?? []],
            PeerReads = Counters.PeerReads,
            PeerReadBytes = Counters.PeerReadBytes,
        };
    }

    public void Dispose() => Stop(savesToDisk: true);

    /// <summary>Ends background work first, so that nothing moves while the rest is taken down. A second call does nothing.</summary>
    public void Stop(bool savesToDisk)
    {
        if (Interlocked.Exchange(ref _isStopped, 1) != 0)
        {
            return;
        }

        _far?.Stop();
        FetchOrders?.Dispose();
        foreach (var loop in _loops)
        {
            loop.Dispose();
        }

        _far?.Dispose();
        if (savesToDisk && _mover is not null)
        {
            var left = _mover.SaveAll(_hosts, _options.StopBudget);
            Log.Saved(_logger, left, _options.StopBudget);
        }

        _mover?.Dispose();
        _disk?.Dispose();

        foreach (var host in _hosts)
        {
            host.Dispose();
            if (_options.RemoveArenaOnStop)
            {
                File.Delete(host.Path);
            }
        }

        Events.Dispose();
        _directory.Dispose();
    }

    private TenantTable OpenTenants()
    {
        var configured = _options.Tenants.Count > 0 ? _options.Tenants : [new TenantOptions { Name = Tenant.DefaultName }];
        var totalBytes = _options.ArenaBytes > 0 ? _options.ArenaBytes : ArenaFiles.MachineMemoryBytes() / 4;
        totalBytes = Math.Max(totalBytes / Limits.GranuleBytes * Limits.GranuleBytes, MinArenaBytes * configured.Count);
        var shares = Shares(configured);
        var groups = configured.GroupBy(tenant => tenant.IsolationGroup ?? tenant.Name, StringComparer.Ordinal).ToArray();
        var paths = groups.Select(group => ArenaFiles.PathOf(_options.ArenaDirectory, _directory.Path, group.Key)).ToArray();
        ArenaFiles.ThrowIfNoRoom(_options.ArenaDirectory, paths, totalBytes);

        var tenants = new List<Tenant>();
        foreach (var (group, path) in groups.Zip(paths))
        {
            var groupBytes = (long)(totalBytes * group.Sum(tenant => shares[tenant])) / Limits.GranuleBytes * Limits.GranuleBytes;
            var host = OpenHost(group.Key, path, groupBytes);
            foreach (var tenant in group)
            {
                tenants.Add(OpenTenant(tenant, host, (long)(totalBytes * shares[tenant])));
            }
        }

        return new TenantTable(tenants);
    }

    private HostTier OpenHost(string group, string path, long dataBytes)
    {
        var descriptors = (int)Math.Min(dataBytes / Limits.GranuleBytes, _options.MaxBlocks);
        var arena = ArenaMapping.Open(path, _directory.Path, dataBytes, descriptors);
        var host = new HostTier(group, arena, _options.MaxResidentBlocks, _clock, _time);
        _hosts.Add(host);
        return host;
    }

    private Tenant OpenTenant(TenantOptions options, HostTier host, long shareBytes)
    {
        var budget = new LeaseBudget((long)(shareBytes * _options.TenantLeaseShare), (long)(shareBytes * _options.ConnectionLeaseShare));
        var tenant = new Tenant(options.Name, host, shareBytes, new LruPolicy(), budget, new ChainLedger(Registry.FindByDigest));
        host.Add(tenant);
        return tenant;
    }

    /// <summary>The configured shares; what they leave over is divided among the tenants without one.</summary>
    private static Dictionary<TenantOptions, double> Shares(IEnumerable<TenantOptions> tenants)
    {
        var all = tenants.ToArray();
        var given = all.Sum(tenant => tenant.Share);
        var equalPart = (1 - given) / Math.Max(1, all.Count(tenant => tenant.Share == 0));
        return all.ToDictionary(tenant => tenant, tenant => tenant.Share == 0 ? equalPart : tenant.Share);
    }

    private void Recover()
    {
        foreach (var scope in _directory.ReadScopes())
        {
            Tenants.Find(scope.Tenant)?.RestoreScope(scope.Model, scope.Revision, scope.Epoch);
        }

        var recovery = new Recovery(Registry, Tenants, _clock, _time);
        foreach (var host in _hosts)
        {
            recovery.AdoptArena(host);
        }

        if (_options.Disk.CapacityBytes > 0)
        {
            OpenDisk(recovery);
        }

        recovery.Finish();
        Log.Recovered(_logger, recovery.Recovered, recovery.Discarded);
    }

    private void OpenDisk(Recovery recovery)
    {
        if (_options.Disk.Directory.Length == 0)
        {
            _options.Disk.Directory = Path.Combine(_directory.Path, "disk");
        }

        if (_options.Disk.Validate().ToArray() is { Length: > 0 } errors)
        {
            throw new EngineStartException(string.Join(' ', errors));
        }

        try
        {
            _disk = DiskTier.Open(
                _options.Disk, _directory.Store, new LocalBlockFileSystem(_options.Disk.Directory, _options.Disk.UseDirectIo),
                new DiskReclaim(Registry, Tenants, _time), recovery.AdoptRecord, _time, _logger);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new EngineStartException($"Engine:Disk:Directory {_options.Disk.Directory} cannot be used: {exception.Message}", exception);
        }

        Registry.UseDisk(_disk);
        _mover = new DiskMover(_disk, Registry, Evictor, Counters, _time);
    }

    private void Sweep()
    {
        if (Volatile.Read(ref _hasPurged))
        {
            Volatile.Write(ref _hasPurged, false);
            _hosts.ForEach(host => Registry.SweepPurged(host));
        }

        Registry.Sweep();
    }

    private void ExpireLeases()
    {
        var now = _time.GetUtcNow().ToUnixTimeMilliseconds();
        foreach (var tenant in Tenants.All)
        {
            tenant.Leases.Expire(now);
        }
    }

    private IEnumerable<TierSnapshot> TierSnapshots()
    {
        yield return new TierSnapshot(
            "host", _hosts.Sum(host => host.CapacityBytes), _hosts.Sum(host => host.AllocatedBytes), _hosts.Sum(host => (long)host.Extents),
            Counters.HostHits, Counters.HostEvictions, Counters.HostEvictedBytes, Counters.WrittenBytes, Counters.HostDropped);
        if (_disk?.Snapshot() is { } disk)
        {
            yield return new TierSnapshot(
                "disk", disk.CapacityBytes, disk.LiveBytes, disk.LiveRecords, Counters.DiskHits, disk.DroppedRecords, disk.DroppedBytes,
                disk.AppendedBytes, Counters.DiskDropped);
        }
    }

    private static TenantSnapshot SnapshotOf(Tenant tenant) => new(
        tenant.Name, tenant.Host.IsolationGroup, tenant.HostBytes, tenant.ShareBytes, tenant.Blocks, tenant.Counters.Hits, tenant.Counters.Misses,
        tenant.Chains.Holes, tenant.Leases.HeldBytes, tenant.Leases.Yielded);

    private TrafficSnapshot Traffic() => new(
        Counters.Reads, Counters.HostHits + Counters.DiskHits + Counters.FarHits, Counters.ReadBytes, Counters.Writes, Counters.WrittenBytes, Counters.DuplicateWrites,
        Counters.RefusedWrites, Counters.MatchRequests, Counters.MatchedBlocks, Counters.AskedBlocks);

    private IntegritySnapshot Integrity() => new(
        Counters.VerifiedBlocks, Counters.VerifiedBytes, Counters.Mismatches, Counters.Quarantined, Counters.ScrubbedBlocks, Counters.ScrubbedBytes,
        Counters.ScrubPasses);

    private static partial class Log
    {
        [LoggerMessage(1020, LogLevel.Information, "Recovered {Blocks} blocks; {Discarded} were incomplete or not wanted any more")]
        public static partial void Recovered(ILogger logger, int blocks, int discarded);

        [LoggerMessage(1021, LogLevel.Information, "Saved RAM to disk; {Left} blocks were left behind within {Budget}")]
        public static partial void Saved(ILogger logger, int left, TimeSpan budget);

        [LoggerMessage(1022, LogLevel.Error, "Quarantined block {Key} of tenant {Tenant}, {Bytes} bytes: its bytes are not what was sealed")]
        public static partial void Quarantined(ILogger logger, string tenant, string key, long bytes);
    }
}
