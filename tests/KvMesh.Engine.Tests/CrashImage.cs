using KvMesh.Engine.Coding;
using KvMesh.TestKit;

namespace KvMesh.Engine.Tests;

/// <summary>
/// What a process that is killed now would leave: arena and data directory of a running engine, as they are, in folders of their own. The
/// original must have its arena in a folder of its own (<see cref="ArenaOf"/>).
/// </summary>
internal sealed class CrashImage : IDisposable
{
    private readonly TemporaryDirectory _data = new();
    private readonly TemporaryDirectory _arena = new();

    public CrashImage(TestEngine original)
    {
        CopyTree(original.Options.DataDirectory, _data.Path);

        // Named after the identity of the directory, which was copied with it.
        var arena = Assert.Single(Directory.EnumerateFiles(original.Options.ArenaDirectory));
        File.Copy(arena, Path.Combine(_arena.Path, Path.GetFileName(arena)));
    }

    /// <summary>Options of an engine whose crash is to be looked at.</summary>
    public static Action<EngineOptions> ArenaOf(TemporaryDirectory arena, long arenaBytes = 4 << 20, long diskBytes = 0) => options =>
    {
        options.ArenaDirectory = arena.Path;
        options.ArenaBytes = arenaBytes;
        options.Disk.CapacityBytes = diskBytes;
        options.Disk.SegmentBytes = 1 << 20;
    };

    /// <summary>The next process.</summary>
    public TestEngine Open(Action<EngineOptions> configure, IPayloadCoder? diskCoder = null, IPayloadCoder? hostCoder = null) => new(
        options =>
        {
            configure(options);
            options.DataDirectory = _data.Path;
            options.ArenaDirectory = _arena.Path;
        },
        diskCoder: diskCoder,
        hostCoder: hostCoder);

    public void Dispose()
    {
        _data.Dispose();
        _arena.Dispose();
    }

    private static void CopyTree(string from, string to)
    {
        foreach (var folder in Directory.EnumerateDirectories(from))
        {
            CopyTree(folder, Directory.CreateDirectory(Path.Combine(to, Path.GetFileName(folder))).FullName);
        }

        // The lock is held, and nobody reads what was being written under another name: it may be gone in an instant.
        foreach (var file in Directory.EnumerateFiles(from).Where(file => Path.GetFileName(file) != "lock" && !file.EndsWith(".tmp", StringComparison.Ordinal)))
        {
            try
            {
                using var source = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
                using var target = File.Create(Path.Combine(to, Path.GetFileName(file)));
                source.CopyTo(target);
            }
            catch (FileNotFoundException)
            {
                // The engine goes on meanwhile: a segment that nobody needs any more went.
            }
        }
    }
}
