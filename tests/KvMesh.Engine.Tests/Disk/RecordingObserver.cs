using System.Text;
using KvMesh.Engine.Disk;

namespace KvMesh.Engine.Tests.Disk;

/// <summary>Stands for the engine: knows what is where, keeps what a test tells it to keep.</summary>
internal sealed class RecordingObserver : IDiskReclaimObserver
{
    private readonly Lock _lock = new();
    private readonly Dictionary<string, DiskLocation> _locations = [];

    /// <summary>Whether a key was used since it was written.</summary>
    public Func<string, bool> Keeps { get; set; } = _ => false;

    /// <summary>Whether a key was promised to stay.</summary>
    public Func<string, bool> Promises { get; set; } = _ => false;

    /// <summary>Uses of keys, as the engine counts them.</summary>
    public Dictionary<string, uint> Hits { get; } = [];

    /// <summary>Runs between the copy of a record and the news of it.</summary>
    public Action<string>? BeforeMoved { get; set; }

    public List<string> Forgotten { get; } = [];

    public List<string> Kept { get; } = [];

    public DiskLocation this[string key]
    {
        get
        {
            lock (_lock)
            {
                return _locations.GetValueOrDefault(key);
            }
        }

        set
        {
            lock (_lock)
            {
                _locations[key] = value;
            }
        }
    }

    public IReadOnlyList<string> Keys
    {
        get
        {
            lock (_lock)
            {
                return [.. _locations.Keys];
            }
        }
    }

    public bool Recovered(in DiskRecord record, DiskLocation location)
    {
        lock (_lock)
        {
            Assert.True(_locations.TryAdd(Name(record), location), $"{Name(record)} was recovered twice.");
            return true;
        }
    }

    public bool Remove(string key)
    {
        lock (_lock)
        {
            return _locations.Remove(key);
        }
    }

    public bool IsPromised(in DiskRecord record, DiskLocation location) => Promises(Name(record));

    public ReclaimVerdict Decide(in DiskRecord record, DiskLocation location, bool mayKeep, out uint hits)
    {
        hits = Hits.GetValueOrDefault(Name(record), record.Hits);
        return Promises(Name(record)) ? ReclaimVerdict.Promised
            : Keeps(Name(record)) || hits > record.Hits ? ReclaimVerdict.Keep
            : ReclaimVerdict.Drop;
    }

    public bool Moved(in DiskRecord record, DiskLocation from, DiskLocation to)
    {
        var key = Name(record);
        BeforeMoved?.Invoke(key);
        lock (_lock)
        {
            if (_locations.GetValueOrDefault(key) != from)
            {
                return false;
            }

            _locations[key] = to;
            Kept.Add(key);
            return true;
        }
    }

    public void Forget(in DiskRecord record, DiskLocation location)
    {
        var key = Name(record);
        lock (_lock)
        {
            if (_locations.GetValueOrDefault(key) == location)
            {
                _locations.Remove(key);
                Forgotten.Add(key);
            }
        }
    }

    private static string Name(in DiskRecord record) => Encoding.UTF8.GetString(record.Key);
}
