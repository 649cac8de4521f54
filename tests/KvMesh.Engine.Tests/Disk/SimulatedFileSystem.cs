using KvMesh.Engine.Disk;
using KvMesh.Protocol;

namespace KvMesh.Engine.Tests.Disk;

/// <summary>How a machine stops.</summary>
internal enum CrashKind
{
    /// <summary>The process ends; what the kernel was given is safe.</summary>
    Process,

    /// <summary>The power goes: unsynced writes are kept, lost or torn unit by unit in any order; of unsynced names a first part is kept.</summary>
    Power,
}

/// <summary>
/// A folder in memory that dies at a chosen step and reopens as a crash left it. After its death every call fails without effect. A test
/// may make single calls fail through <see cref="Fault"/>; a write that fails may leave any part of itself behind.
/// </summary>
internal sealed class SimulatedFileSystem(Random random) : IBlockFileSystem
{
    private readonly Lock _lock = new();
    private readonly List<Action<Dictionary<string, Inode>>> _unsyncedNames = [];
    private Dictionary<string, Inode> _names = [];
    private Dictionary<string, Inode> _durableNames = [];

    public bool UsesDirectIo => true;

    /// <summary>Calls that change something, so far.</summary>
    public int Steps { get; private set; }

    /// <summary>The step at which everything ends; null never.</summary>
    public int? DiesAtStep { get; set; }

    public bool IsDead { get; private set; }

    /// <summary>Given the operation and the name, the status it fails with, or Ok.</summary>
    public Func<string, string, FileStatus>? Fault { get; set; }

    public IReadOnlyCollection<string> Names
    {
        get
        {
            lock (_lock)
            {
                return [.. _names.Keys];
            }
        }
    }

    /// <summary>The folder as the next process finds it. This one is dead afterwards.</summary>
    public SimulatedFileSystem Reopen(CrashKind kind)
    {
        lock (_lock)
        {
            IsDead = true;
            var next = new SimulatedFileSystem(random);
            if (kind == CrashKind.Process)
            {
                // What was not synced still is not.
                next._names = _names;
                next._durableNames = _durableNames;
                next._unsyncedNames.AddRange(_unsyncedNames);
                return next;
            }

            var names = new Dictionary<string, Inode>(_durableNames);
            foreach (var change in _unsyncedNames.Take(random.Next(_unsyncedNames.Count + 1)))
            {
                change(names);
            }

            foreach (var (name, inode) in names)
            {
                next._names[name] = inode.AfterPowerLoss(random);
            }

            next._durableNames = new Dictionary<string, Inode>(next._names);
            return next;
        }
    }

    /// <summary>Changes one bit of a file, on the device and in memory.</summary>
    public void Flip(string name, long offset, int bit = 0)
    {
        lock (_lock)
        {
            _names[name].Flip(offset, bit);
        }
    }

    public long LengthOf(string name)
    {
        lock (_lock)
        {
            return _names[name].Content.Length;
        }
    }

    public void Put(string name, byte[] content)
    {
        lock (_lock)
        {
            _names[name] = new Inode(content);
            _durableNames[name] = _names[name];
        }
    }

    public FileStatus List(out IReadOnlyList<string> names)
    {
        lock (_lock)
        {
            names = [.. _names.Keys];
            return Refusal("list", "");
        }
    }

    public FileStatus Create(string name, long bytes, bool direct, out IBlockFile? file)
    {
        lock (_lock)
        {
            file = null;
            var status = Change("create", name, names => names[name] = new Inode(new byte[bytes]));
            if (status == FileStatus.Ok)
            {
                file = new SimulatedFile(this, name, _names[name], direct);
            }

            return status;
        }
    }

    public FileStatus Open(string name, bool direct, out IBlockFile? file)
    {
        lock (_lock)
        {
            file = null;
            var status = Refusal("open", name);
            if (status == FileStatus.Ok && !_names.ContainsKey(name))
            {
                status = FileStatus.NotFound;
            }

            if (status == FileStatus.Ok)
            {
                file = new SimulatedFile(this, name, _names[name], direct);
            }

            return status;
        }
    }

    public FileStatus Rename(string from, string to)
    {
        lock (_lock)
        {
            var inode = _names.GetValueOrDefault(from);
            return inode is null ? FileStatus.NotFound : Change("rename", from, names =>
            {
                names.Remove(from);
                names[to] = inode;
            });
        }
    }

    public FileStatus Delete(string name)
    {
        lock (_lock)
        {
            return !_names.ContainsKey(name) ? FileStatus.NotFound : Change("delete", name, names => names.Remove(name));
        }
    }

    public FileStatus SyncDirectory()
    {
        lock (_lock)
        {
            var status = Step("syncdir", "");
            if (status == FileStatus.Ok)
            {
                _durableNames = new Dictionary<string, Inode>(_names);
                _unsyncedNames.Clear();
            }

            return status;
        }
    }

    private FileStatus Change(string operation, string name, Action<Dictionary<string, Inode>> change)
    {
        var status = Step(operation, name);
        if (status == FileStatus.Ok)
        {
            if (operation == "create")
            {
                // The same inode in every view of the folder.
                change(_names);
                var inode = _names[name];
                change = names => names[name] = inode;
            }
            else
            {
                change(_names);
            }

            _unsyncedNames.Add(change);
        }

        return status;
    }

    /// <summary>Counts a step; the one that is the last does not happen.</summary>
    private FileStatus Step(string operation, string name)
    {
        Steps++;
        IsDead |= Steps == DiesAtStep;
        return Refusal(operation, name);
    }

    private FileStatus Refusal(string operation, string name) =>
        IsDead ? FileStatus.Failed : Fault?.Invoke(operation, name) ?? FileStatus.Ok;

    private sealed record Write(long Offset, byte[] Data);

    /// <summary>Content now, content on the device, and the writes between the two.</summary>
    private sealed class Inode(byte[] content)
    {
        private readonly List<Write> _unsynced = [];
        private byte[] _durable = (byte[])content.Clone();

        public byte[] Content { get; private set; } = content;

        public void Apply(long offset, ReadOnlySpan<byte> data)
        {
            _unsynced.Add(new Write(offset, data.ToArray()));
            Content = Applied(Content, offset, data);
        }

        public void Truncate(long bytes) => Content = Content[..(int)bytes];

        public void Sync()
        {
            _durable = (byte[])Content.Clone();
            _unsynced.Clear();
        }

        public void Flip(long offset, int bit)
        {
            Content[offset] ^= (byte)(1 << bit);
            if (offset < _durable.Length)
            {
                _durable[offset] ^= (byte)(1 << bit);
            }
        }

        public Inode AfterPowerLoss(Random random)
        {
            var content = (byte[])_durable.Clone();
            var keeps = random.Next(5) / 4.0;
            var unit = random.Next(2) == 0 ? 512 : Limits.GranuleBytes;
            var units = new List<Write>();
            foreach (var write in _unsynced)
            {
                for (var at = 0; at < write.Data.Length;)
                {
                    // Units are aligned in the file, as sectors are.
                    var bytes = (int)Math.Min(unit - ((write.Offset + at) % unit), write.Data.Length - at);
                    if (random.NextDouble() < keeps)
                    {
                        units.Add(new Write(write.Offset + at, write.Data[at..(at + bytes)]));
                    }

                    at += bytes;
                }
            }

            var order = units.ToArray();
            if (random.Next(2) == 0)
            {
                random.Shuffle(order);
            }

            foreach (var kept in order)
            {
                content = Applied(content, kept.Offset, kept.Data);
            }

            if (Content.Length < content.Length && random.Next(2) == 0)
            {
                content = content[..Content.Length];
            }

            return new Inode(content);
        }

        private static byte[] Applied(byte[] content, long offset, ReadOnlySpan<byte> data)
        {
            if (content.Length < offset + data.Length)
            {
                Array.Resize(ref content, (int)offset + data.Length);
            }

            data.CopyTo(content.AsSpan((int)offset));
            return content;
        }
    }

    private sealed class SimulatedFile(SimulatedFileSystem files, string name, Inode inode, bool direct) : IBlockFile
    {
        public long Length
        {
            get
            {
                lock (files._lock)
                {
                    return inode.Content.Length;
                }
            }
        }

        public FileStatus Read(long offset, Span<byte> first, Span<byte> second)
        {
            AssertAligned(offset | (long)first.Length | (long)second.Length);
            lock (files._lock)
            {
                var status = files.Refusal("read", name);
                if (status != FileStatus.Ok || offset + first.Length + second.Length > inode.Content.Length)
                {
                    return status == FileStatus.Ok ? FileStatus.Failed : status;
                }

                inode.Content.AsSpan((int)offset, first.Length).CopyTo(first);
                inode.Content.AsSpan((int)offset + first.Length, second.Length).CopyTo(second);
                return FileStatus.Ok;
            }
        }

        FileStatus IBlockFile.Write(long offset, ReadOnlySpan<byte> first, ReadOnlySpan<byte> second)
        {
            AssertAligned(offset | (long)first.Length | (long)second.Length);
            lock (files._lock)
            {
                if (files.IsDead)
                {
                    return FileStatus.Failed;
                }

                byte[] data = [.. first, .. second];
                var status = files.Step("write", name);
                if (status == FileStatus.Ok)
                {
                    inode.Apply(offset, data);
                }
                else
                {
                    ApplyPart(offset, data);
                }

                return status;
            }
        }

        public FileStatus Truncate(long bytes)
        {
            lock (files._lock)
            {
                if (files.IsDead)
                {
                    return FileStatus.Failed;
                }

                var status = files.Step("truncate", name);
                if (status == FileStatus.Ok)
                {
                    inode.Truncate(bytes);
                }

                return status;
            }
        }

        public FileStatus Sync()
        {
            lock (files._lock)
            {
                var status = files.Step("sync", name);
                if (status == FileStatus.Ok)
                {
                    inode.Sync();
                }

                return status;
            }
        }

        public void Dispose()
        {
        }

        /// <summary>A write that fails may have done any part of its work: a first part, or scattered sectors.</summary>
        private void ApplyPart(long offset, byte[] data)
        {
            var keeps = files.Random.Next(3) / 2.0;
            for (var at = 0; at < data.Length; at += 512)
            {
                if (files.Random.NextDouble() < keeps)
                {
                    inode.Apply(offset + at, data.AsSpan(at, Math.Min(512, data.Length - at)));
                }
            }
        }

        private void AssertAligned(long bits) => Assert.True(!direct || bits % Limits.GranuleBytes == 0, $"{name}: {bits} is not aligned.");
    }

    private Random Random => random;
}
