using KvMesh.Engine.Arena;
using KvMesh.Engine.Blocks;
using KvMesh.Engine.Coding;
using KvMesh.Engine.Disk;
using KvMesh.Engine.Events;
using KvMesh.Engine.FarTiers;
using KvMesh.Engine.Host;
using KvMesh.Engine.Integrity;
using KvMesh.Engine.Leases;
using KvMesh.Engine.Progressive;
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
    private readonly List<HostTier> _hosts;
    private readonly List<BackgroundLoop> _loops = [];
    private readonly RequestClock _clock;
    private readonly DateTimeOffset _startedAt;
    private readonly IPayloadCoder? _diskCoder;
    private readonly IPayloadCoder? _hostCoder;
    private readonly CodingCounters _coding = new();
    private readonly CodingCounters _hostCoding = new();
    private Prefaulter? _prefaulter;
    private DiskTier? _disk;
    private DiskMover? _mover;
    private Promoter? _promoter;
    private HostEncoder? _encoder;
    private PayloadDecoder? _decoder;
    private BackgroundLoop? _sweep;
    private FarLookup? _far;
    private long _sweepAsked;
    private int _isStopped;

    /// <summary>Whether scopes were purged since the last sweep began.</summary>
    private bool _hasPurged;

    /// <param name="arenas">Gets each arena when it is open, so that a start that fails can close them.</param>
    private EngineHost(
        EngineOptions options, DataDirectory directory, List<HostTier> arenas, TimeProvider time, ILogger logger, IPayloadCoder? diskCoder, IPayloadCoder? hostCoder)
    {
        _diskCoder = diskCoder;
        _hostCoder = hostCoder;
        _options = options;
        _directory = directory;
        _hosts = arenas;
        _time = time;
        _logger = logger;
        _startedAt = time.GetUtcNow();
        _clock = new RequestClock(time);
        Registry = new BlockRegistry(new BlockIndex(options.MaxBlocks), Events, directory.Secret, time);
        Evictor = new Evictor(Registry, Counters, time);
        Tenants = OpenTenants();
        Progressive = new ProgressiveTable(options.ProgressiveWriteTimeout);
        Holds = new HoldLedger((long)(options.MaxHeldShare * _hosts.Sum(host => host.CapacityBytes)));
        Registry.UseHolds(Holds);
    }

    /// <summary>Blocks that pins keep here.</summary>
    public HoldLedger Holds { get; }

    public BlockEventLog Events { get; } = new();

    public EngineCounters Counters { get; } = new();

    /// <summary>Blocks that are read while they are written.</summary>
    public ProgressiveTable Progressive { get; }

    public BlockRegistry Registry { get; }

    public Evictor Evictor { get; }

    public TenantTable Tenants { get; }

    /// <summary>Orders to bring blocks here; null while there is no tier to bring them from.</summary>
    public FetchOrders? FetchOrders { get; private set; }

    /// <summary>Offers of blocks that leave; null while there is no tier to offer them to.</summary>
    public LeavingOffers? Offers { get; private set; }

    /// <summary>Gives out blocks as they lie encoded; null: none do.</summary>
    public EncodedDoor? EncodedDoor { get; private set; }

    /// <summary>The RAM of each isolation group.</summary>
    public IReadOnlyList<HostTier> Hosts => _hosts;

    /// <param name="diskCoder">Encodes blocks that go to disk; null: none is, and what was encoded earlier is forgotten.</param>
    /// <param name="hostCoder">Encodes blocks in RAM; null: none is.</param>
    public static EngineHost Open(
        EngineOptions options, TimeProvider time, ILogger logger, IPayloadCoder? diskCoder = null, IPayloadCoder? hostCoder = null)
    {
        var directory = DataDirectory.Open(options.DataDirectory);
        var arenas = new List<HostTier>();
        try
        {
            var host = new EngineHost(options, directory, arenas, time, logger, diskCoder, hostCoder);
            host.Recover();
            return host;
        }
        catch
        {
            arenas.ForEach(arena => arena.Dispose());
            directory.Dispose();
            throw;
        }
    }

    /// <summary>Begins the background work, once the engine is complete.</summary>
    public void Start(BlockEngine engine, ILogger logger)
    {
        var scrubber = new Scrubber(engine, Registry, Counters, _options.ScrubBytesPerSecond);
        _loops.Add(new BackgroundLoop("leases", TimeSpan.FromMilliseconds(250), () => ExpireLeases(engine), logger));
        _sweep = new BackgroundLoop("sweep", SweepPeriod, Sweep, logger);
        _loops.Add(_sweep);
        _loops.Add(new BackgroundLoop("scrub", TimeSpan.FromSeconds(1.0 / Scrubber.StepsPerSecond), scrubber.Step, logger));
        if (_mover is { } mover)
        {
            _loops.Add(new BackgroundLoop("demote", TimeSpan.FromMilliseconds(10), () => mover.DemoteAhead(_hosts), logger));
        }

        if (_encoder is { } encoder)
        {
            for (var thread = 0; thread < _options.HostCoding.CountThreads(); thread++)
            {
                _loops.Add(new BackgroundLoop("encode", HostEncoder.Period, () => encoder.Step(_hosts, () => Volatile.Read(ref _isStopped) != 0), logger));
            }
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
            var offers = Offers = new LeavingOffers(_far, () => _mover is not { } mover || mover.IsDiskFull(), block => TryLoadAndOpen(block, out _));
            _loops.Add(new BackgroundLoop("offer", LeavingOffers.Period, () => offers.Step(_hosts), _logger));
        }

        return _far;
    }

    public bool TryLoadAndOpen(Block block, out bool wasOnDisk)
    {
        wasOnDisk = false;
        return _promoter is not null && _promoter.TryLoadAndOpen(block, out wasOnDisk);
    }

    /// <summary>Gives up a copy on disk that has lost something; the caller holds the block open.</summary>
    public void GiveUpLossyCopy(Block block) => _mover?.GiveUpLossyCopy(block);

    /// <summary>The expiry of a block has changed, which a copy on disk, or on its way there, does not know.</summary>
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

    public void Dispose() => Stop(savesToDisk: true);

    /// <summary>Ends background work first, so that nothing moves while the rest is taken down. A second call does nothing.</summary>
    public void Stop(bool savesToDisk)
    {
        if (Interlocked.Exchange(ref _isStopped, 1) != 0)
        {
            return;
        }

        _far?.Stop();
        _hostCoder?.StopEncoding();
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
        EncodedDoor?.Dispose();
        _encoder?.Dispose();
        _decoder?.Dispose();
        _disk?.Dispose();

        foreach (var host in _hosts)
        {
            host.Dispose();
            if (_options.RemoveArenaOnStop)
            {
                File.Delete(host.Path);
            }
        }

        _directory.Dispose();
    }

    private TenantTable OpenTenants()
    {
        var configured = _options.Tenants.Count > 0 ? _options.Tenants : [new TenantOptions { Name = Tenant.DefaultName }];
        var totalBytes = _options.ArenaBytes > 0 ? _options.ArenaBytes : ArenaFiles.MachineMemoryBytes() / 4;
        totalBytes = Math.Max(totalBytes / Limits.GranuleBytes * Limits.GranuleBytes, MinArenaBytes * configured.Count);
        var shares = Shares(configured);
        var groups = configured.GroupBy(tenant => tenant.IsolationGroup ?? tenant.Name, StringComparer.Ordinal).ToArray();
        var paths = groups.Select(group => ArenaFiles.PathOf(_options.ArenaDirectory, _directory.Store, group.Key)).ToArray();
        ArenaFiles.RemoveAbandoned(_options.ArenaDirectory, _directory, paths, _logger);
        long[] sizes = [.. groups.Select(group => (long)(totalBytes * group.Sum(tenant => shares[tenant])) / Limits.GranuleBytes * Limits.GranuleBytes)];
        ArenaFiles.ThrowIfNoRoom(
            _options.ArenaDirectory, paths, sizes.Sum(bytes => ArenaMapping.FileBytes(bytes, DescriptorsOf(bytes))), MemoryLimit.Read());

        var tenants = new List<Tenant>();
        foreach (var (group, path, groupBytes) in groups.Zip(paths, sizes))
        {
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
        var isThere = File.Exists(path);
        var arena = ArenaMapping.Open(path, _directory.Path, dataBytes, DescriptorsOf(dataBytes));
        if (isThere && !arena.IsAdopted)
        {
            Log.EmptiedArena(_logger, path);
        }

        var host = new HostTier(group, arena, _options.MaxResidentBlocks, _options.MaxExistenceLease, _clock, _time);
        _hosts.Add(host);
        return host;
    }

    private int DescriptorsOf(long dataBytes) => (int)Math.Min(dataBytes / Limits.GranuleBytes, _options.MaxBlocks);

    private Tenant OpenTenant(TenantOptions options, HostTier host, long shareBytes)
    {
        var budget = new LeaseBudget((long)(shareBytes * _options.TenantLeaseShare), (long)(shareBytes * _options.ConnectionLeaseShare));
        var tenant = new Tenant(options.Name, host, shareBytes, RetentionPolicies.Create<Block>(_options.Retention), budget, new ChainLedger(Registry.FindByDigest)) { LosslessReads = options.LosslessReads };
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
        using var activity = EngineActivities.Start("recover blocks");
        _directory.RestoreScopes(Tenants);

        var recovery = new Recovery(Registry, Tenants, _clock, _time, canDecode: (_hostCoder ?? _diskCoder) is not null);
        foreach (var host in _hosts)
        {
            recovery.AdoptArena(host);
        }

        OpenCoding();
        if (_options.Disk.CapacityBytes > 0)
        {
            OpenDisk(recovery);
        }

        _promoter ??= new Promoter(null, Registry, Evictor, Counters, _time, null, _decoder);

        recovery.Finish();
        activity?.SetTag("kvmesh.blocks.recovered", recovery.Recovered).SetTag("kvmesh.blocks.discarded", recovery.Discarded);
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

        var reclaim = new DiskReclaim(Registry, Tenants, _time);
        try
        {
            _disk = DiskTier.Open(
                _options.Disk, _directory.Store, new LocalBlockFileSystem(_options.Disk.Directory, _options.Disk.UseDirectIo),
                reclaim, recovery.AdoptRecord, _time, _logger);
            reclaim.EndRecovery(recovery.LastRecord);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new EngineStartException($"Engine:Disk:Directory {_options.Disk.Directory} cannot be used: {exception.Message}", exception);
        }

        Registry.UseDisk(_disk);
        var coding = DiskCoding.For(_diskCoder, _disk, _coding, _options.Disk.EncodeShare, _time);
        EncodedDoor = coding is null ? null : new EncodedDoor(_disk);
        _promoter = new Promoter(_disk, Registry, Evictor, Counters, _time, coding?.Decoder, _decoder);
        _mover = new DiskMover(_disk, Registry, _promoter, Counters, _time, coding);
    }

    private void Sweep()
    {
        if (Volatile.Read(ref _hasPurged))
        {
            Volatile.Write(ref _hasPurged, false);
            _hosts.ForEach(host => Registry.SweepPurged(host));
        }

        Registry.Sweep();
        var hasRisen = false;
        foreach (var tenant in Tenants.All)
        {
            hasRisen |= tenant.Scopes.ForgetEmpty();
        }

        if (hasRisen)
        {
            _directory.WriteScopes(Tenants.All);
        }
    }

    private void ExpireLeases(BlockEngine engine)
    {
        var now = _time.GetUtcNow().ToUnixTimeMilliseconds();
        foreach (var tenant in Tenants.All)
        {
            tenant.Leases.Expire(now);
        }

        Holds.Expire(now);
        engine.AbandonStalledWrites();
    }

    private static partial class Log
    {
        [LoggerMessage(1020, LogLevel.Information, "Recovered {Blocks} blocks; {Discarded} were incomplete or not wanted any more")]
        public static partial void Recovered(ILogger logger, int blocks, int discarded);

        [LoggerMessage(1023, LogLevel.Warning, "Emptied arena {Path}: it was of another size or version, so that its blocks could not be adopted")]
        public static partial void EmptiedArena(ILogger logger, string path);

        [LoggerMessage(1021, LogLevel.Information, "Saved RAM to disk; {Left} blocks were left behind within {Budget}")]
        public static partial void Saved(ILogger logger, int left, TimeSpan budget);

        [LoggerMessage(1022, LogLevel.Error, "Quarantined block {Key} of tenant {Tenant}, {Bytes} bytes: its bytes are not what was sealed")]
        public static partial void Quarantined(ILogger logger, string tenant, string key, long bytes);
    }
}
