using System.Text;
using KvMesh.Engine.Disk;
using KvMesh.TestKit;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvMesh.Engine.Tests.Disk;

/// <summary>One version of one key, and what the tier owes for it.</summary>
internal sealed class ModelVersion(int number, int payloadBytes)
{
    public int Number { get; } = number;

    public int PayloadBytes { get; } = payloadBytes;

    public DiskLocation Location { get; set; }

    /// <summary>The append returned true before the crash.</summary>
    public bool IsAcknowledged { get; set; }

    /// <summary>A sync returned true after the append did.</summary>
    public bool IsSynced { get; set; }

    /// <summary>Nobody wants it any more, by a release or by reclamation.</summary>
    public bool IsOver { get; set; }

    /// <summary>It must not come back after the end of the process.</summary>
    public bool IsRemoved { get; set; }

    /// <summary>Nor after a loss of power.</summary>
    public bool IsRemovalSynced { get; set; }
}

/// <summary>Random work on a tier, a crash at a random step, and the comparison, several times over on one folder.</summary>
internal sealed class CrashModel(int seed) : IDiskReclaimObserver, IDisposable
{
    private static readonly Guid Store = new("11111111-2222-3333-4444-555555555555");
    private readonly Random _random = new(seed);
    private readonly SimulatedClock _time = new();
    private readonly Dictionary<string, List<ModelVersion>> _keys = [];
    private readonly Dictionary<string, (int Version, DiskLocation Location)> _recovered = [];
    private SimulatedFileSystem _files = null!;
    private DiskTier _tier = null!;
    private DiskBatch? _batch;
    private readonly List<string> _history = [];
    private int _lastVersion;

    /// <summary>What happened, for the message of a failure.</summary>
    public string History => string.Join(Environment.NewLine, _history);

    public void Run()
    {
        _files = new SimulatedFileSystem(_random);
        Open();
        for (var round = 0; round < 4; round++)
        {
            _files.DiesAtStep = _files.Steps + 1 + _random.Next(120);
            for (var i = 0; i < 150 && !_files.IsDead; i++)
            {
                Act();
            }

            var kind = _random.Next(2) == 0 ? CrashKind.Process : CrashKind.Power;
            if (!_files.IsDead && _random.Next(2) == 0)
            {
                EndCleanly();
            }

            _history.Add($"crash of {kind}");
            _files = _files.Reopen(kind);
            Open();
            _history.Add("recovered " + string.Join(' ', _recovered.Select(pair => $"{pair.Key}={pair.Value.Version}@{pair.Value.Location.Segment}:{pair.Value.Location.Offset}")));
            Compare(kind);
            Adopt();
        }
    }

    public void Dispose() => _batch?.Dispose();

    bool IDiskReclaimObserver.IsPromised(in DiskRecord record, DiskLocation location) => _random.Next(8) == 0;

    ReclaimVerdict IDiskReclaimObserver.Decide(in DiskRecord record, DiskLocation location, bool mayKeep, out uint hits)
    {
        hits = record.Hits;
        return _random.Next(12) switch
        {
            0 => ReclaimVerdict.Promised,
            < 5 => ReclaimVerdict.Keep,
            _ => ReclaimVerdict.Drop,
        };
    }

    bool IDiskReclaimObserver.Moved(in DiskRecord record, DiskLocation from, DiskLocation to)
    {
        var version = Find(record);
        if (_random.Next(4) == 0 && !version.IsOver)
        {
            Release(version, durable: true);
        }

        if (version.IsOver)
        {
            return false;
        }

        _history.Add($"move {version.Number} from {from.Segment}:{from.Offset} to {to.Segment}:{to.Offset}");
        version.Location = to;
        return true;
    }

    void IDiskReclaimObserver.Forget(in DiskRecord record, DiskLocation location)
    {
        var version = Find(record);
        Assert.Equal(version.Location, location);
        _history.Add($"forget {version.Number} at {location.Segment}:{location.Offset}, dead {_files.IsDead}");
        version.IsOver = true;
        version.IsRemoved = !_files.IsDead;
    }

    /// <summary>What a version lost comes back with it, and nothing that it did not lose.</summary>
    private static void AssertLoss(in DiskRecord record)
    {
        var version = (int)record.Hits;
        using var block = BlockOf(Encoding.UTF8.GetString(record.Key), version, (int)record.PayloadBytes);
        Assert.Equal(block.Loss, record.Loss);
        Assert.Equal(block.Record.SourceTableChecksum, record.SourceTableChecksum);
        Assert.Equal(block.Record.BlockTableChecksum, record.BlockTableChecksum);
        Assert.Equal(block.Record.BlockBytes, record.BlockBytes);
    }

    private ModelVersion Find(in DiskRecord record)
    {
        AssertLoss(record);
        var number = (int)record.Hits;
        return _keys[Encoding.UTF8.GetString(record.Key)].Single(version => version.Number == number);
    }

    private static bool IsContent(string key) => key[0] == 'c';

    /// <summary>Records of encoded blocks and others lie in one folder, also of one key.</summary>
    private static bool IsEncoded(int version) => version % 3 == 0;

    /// <summary>So do those of blocks that lost something, encoded or as they are.</summary>
    private static bool IsLossy(int version) => version % 5 < 2;

    private static TestBlock BlockOf(string key, int version, int payloadBytes) =>
        new(key, payloadBytes, version, IsContent(key), IsEncoded(version), IsLossy(version));

    private void Open()
    {
        _recovered.Clear();
        var options = new DiskOptions
        {
            Directory = "disk",
            SegmentBytes = DiskOptions.MinSegmentBytes,
            CapacityBytes = 6 * DiskOptions.MinSegmentBytes,
            RunsMaintenance = false,
            SyncInterval = TimeSpan.FromSeconds(10),
        };
        _tier = DiskTier.Open(
            options, Store, _files, this,
            (in DiskRecord record, DiskLocation location) =>
            {
                AssertLoss(record);
                Assert.True(
                    _recovered.TryAdd(Encoding.UTF8.GetString(record.Key), ((int)record.Hits, location)),
                    $"{Encoding.UTF8.GetString(record.Key)} came back twice.");
                return true;
            },
            _time, NullLogger.Instance);
        _batch?.Dispose();
        _batch = _tier.CreateBatch();
    }

    private void Act()
    {
        switch (_random.Next(20))
        {
            case < 8:
                Put(RandomKey());
                break;
            case < 10:
                PutBatch();
                break;
            case < 13:
                ReadSome();
                break;
            case < 15:
                if (Live(RandomKey()) is { } version)
                {
                    Release(version, durable: _random.Next(3) > 0);
                }

                break;
            case 15:
                Sync();
                break;
            case 16:
                Checkpoint();
                break;
            default:
                _time.Advance(TimeSpan.FromSeconds(_random.Next(4)));
                _tier.Maintain();
                break;
        }
    }

    private string RandomKey() => (_random.Next(2) == 0 ? "content-" : "opaque-") + _random.Next(12);

    private ModelVersion? Live(string key) =>
        _keys.GetValueOrDefault(key)?.LastOrDefault(version => version.IsAcknowledged && !version.IsOver);

    private ModelVersion NewVersion(string key, int maxBytes)
    {
        var bytes = _random.Next(3) switch { 0 => 28, 1 => _random.Next(5000), _ => _random.Next(24_000) };
        var version = new ModelVersion(++_lastVersion, Math.Min(bytes, maxBytes));
        if (!_keys.TryGetValue(key, out var versions))
        {
            _keys[key] = versions = [];
        }

        versions.Add(version);
        return version;
    }

    /// <summary>Writes a new version and removes the old one, in either order.</summary>
    private void Put(string key)
    {
        var old = Live(key);
        var releasesFirst = _random.Next(2) == 0;
        if (old is not null && releasesFirst)
        {
            Release(old, durable: true);
        }

        var version = NewVersion(key, int.MaxValue);
        using var block = BlockOf(key, version.Number, version.PayloadBytes);
        Acknowledge(version, block.Append(_tier, out var location), location);
        if (old is { IsOver: false } && version.IsAcknowledged)
        {
            Release(old, durable: true);
        }
    }

    private void PutBatch()
    {
        var versions = new List<ModelVersion>();
        for (var i = _random.Next(1, 5); i > 0; i--)
        {
            var key = RandomKey();
            if (Live(key) is { } old)
            {
                Release(old, durable: true);
            }

            if (_keys.GetValueOrDefault(key)?.Exists(versions.Contains) == true)
            {
                continue;
            }

            var version = NewVersion(key, maxBytes: 3000);
            using var block = BlockOf(key, version.Number, version.PayloadBytes);
            versions.Add(version);
            if (!_batch!.TryAdd(block.Record, block.Extent))
            {
                versions.Remove(version);
                _keys[key].Remove(version);
            }
        }

        var locations = new DiskLocation[versions.Count];
        var isAppended = _tier.TryAppend(_batch!, locations);
        for (var i = 0; i < versions.Count; i++)
        {
            Acknowledge(versions[i], isAppended, locations[i]);
        }
    }

    private void Acknowledge(ModelVersion version, bool isAppended, DiskLocation location)
    {
        version.IsAcknowledged = isAppended && !_files.IsDead;
        version.IsOver = !isAppended;
        version.IsRemoved = !isAppended && !_files.IsDead;
        version.Location = location;
        _history.Add($"append {version.Number} at {location.Segment}:{location.Offset}, {isAppended}, dead {_files.IsDead}");
    }

    private void Release(ModelVersion version, bool durable)
    {
        _tier.Release(version.Location, durable);
        _history.Add($"release {version.Number} durably {durable}, dead {_files.IsDead}");
        version.IsOver = true;
        version.IsRemoved |= durable && !_files.IsDead;
    }

    private void ReadSome()
    {
        var key = RandomKey();
        if (Live(key) is { } version)
        {
            Assert.True(Reads(key, version.Number, version.PayloadBytes, version.Location) || _files.IsDead, $"{key} version {version.Number} cannot be read.");
        }
    }

    private void Sync()
    {
        if (_tier.Sync() && !_files.IsDead)
        {
            NoteSync();
        }
    }

    private void Checkpoint()
    {
        if (_tier.Checkpoint() && !_files.IsDead)
        {
            NoteSync();
        }
    }

    private void EndCleanly()
    {
        _batch!.Dispose();
        _tier.Dispose();
        if (!_files.IsDead)
        {
            NoteSync();
        }
    }

    private void NoteSync()
    {
        foreach (var version in _keys.Values.SelectMany(versions => versions))
        {
            version.IsSynced |= version.IsAcknowledged;
            version.IsRemovalSynced |= version.IsRemoved;
        }
    }

    private bool Reads(string key, int version, int payloadBytes, DiskLocation location)
    {
        using var small = BlockOf(key, version, payloadBytes);
        return small.Reads(_tier, location);
    }

    private void Compare(CrashKind kind)
    {
        Assert.Equal(0, _tier.Snapshot().ForeignFiles);
        foreach (var (key, versions) in _keys)
        {
            var isBack = _recovered.TryGetValue(key, out var found);
            if (isBack)
            {
                var version = versions.SingleOrDefault(version => version.Number == found.Version);
                Assert.True(version is not null, $"{key} came back as version {found.Version}, which nobody wrote.");
                var isForbidden = kind == CrashKind.Process ? version.IsRemoved : version.IsRemovalSynced;
                Assert.False(isForbidden, $"{key} version {found.Version} was removed and came back after {kind}.");
                Assert.True(Reads(key, version.Number, version.PayloadBytes, found.Location), $"{key} version {found.Version} came back and cannot be read.");
            }

            var owed = versions.LastOrDefault(version => version.IsAcknowledged && !version.IsOver && (kind == CrashKind.Process || version.IsSynced));
            if (owed is not null)
            {
                Assert.True(isBack, $"{key} version {owed.Number} was acknowledged and is lost after {kind}.");
                Assert.True(found.Version >= owed.Number, $"{key} came back as version {found.Version}, but {owed.Number} was acknowledged.");
            }
        }

        Assert.All(_recovered.Keys, key => Assert.True(_keys.ContainsKey(key), $"{key} was never written."));
    }

    /// <summary>The next round begins with what came back; what did not must stay away.</summary>
    private void Adopt()
    {
        foreach (var (key, versions) in _keys)
        {
            var isBack = _recovered.TryGetValue(key, out var found);
            foreach (var version in versions)
            {
                var isThis = isBack && version.Number == found.Version;
                version.IsAcknowledged = isThis;
                version.IsOver = !isThis;
                version.Location = isThis ? found.Location : default;
                version.IsRemoved = !isThis && (version.IsRemoved || (isBack && version.Number < found.Version));
                version.IsRemovalSynced = version.IsRemoved && version.IsRemovalSynced;
                version.IsSynced = false;
            }
        }
    }
}
