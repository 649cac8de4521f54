using KvMesh.TestKit;

namespace KvMesh.LoadTest.Faults;

/// <summary>A data directory that can be filled up. It needs no rights: where the machine grants no namespace, a limit on files stands for the disk.</summary>
internal abstract class SmallVolume : IAsyncDisposable
{
    /// <summary>What it is made of, for the table.</summary>
    public abstract string Kind { get; }

    /// <summary>Runs the program that is given behind it on the volume.</summary>
    public abstract string[] Program { get; }

    /// <param name="directory">Becomes the volume, for processes that run on it.</param>
    public static async Task<SmallVolume> CreateAsync(string directory)
    {
        foreach (string[] rights in new string[][] { ["-m"], ["-Urm"] })
        {
            if (await MountedVolume.TryCreateAsync(rights, directory) is { } mounted)
            {
                return mounted;
            }
        }

        return new LimitedFiles();
    }

    /// <summary>Leaves no room, until <see cref="EmptyAsync"/>.</summary>
    public abstract Task FillAsync(int processId);

    public abstract Task EmptyAsync(int processId);

    public abstract ValueTask DisposeAsync();

    /// <summary>A memory file system of a few MiB in a mount namespace, which goes with the process that holds it.</summary>
    private sealed class MountedVolume(ChildProcess holder, string[] rights, string directory) : SmallVolume
    {
        private const string Mount = "mount -t tmpfs -o size=40m,mode=700 tmpfs \"$0\" && echo mounted && exec sleep infinity";

        private readonly string _filler = Path.Combine($"/proc/{holder.Id}/root{directory}", "filler");

        public override string Kind => "a file system of 40 MiB";

        public override string[] Program =>
            ["nsenter", "--target", $"{holder.Id}", "--mount", .. rights[0].Contains('U', StringComparison.Ordinal) ? ["--user", "--preserve-credentials"] : Array.Empty<string>()];

        public static async Task<SmallVolume?> TryCreateAsync(string[] rights, string directory)
        {
            var holder = ChildProcess.Start("unshare", [.. rights, "sh", "-c", Mount, directory]);
            try
            {
                await holder.WaitForLineAsync(line => line == "mounted", "the line after the mount", Eventually.Patience);
                return new MountedVolume(holder, rights, directory);
            }
            catch (TimeoutException)
            {
                await holder.DisposeAsync();
                return null;
            }
        }

        public override Task FillAsync(int processId)
        {
            using var filler = File.Create(_filler, bufferSize: 0);
            var chunk = new byte[4096];
            try
            {
                while (true)
                {
                    filler.Write(chunk);
                }
            }
            catch (IOException)
            {
                // That was all.
            }

            return Task.CompletedTask;
        }

        public override Task EmptyAsync(int processId)
        {
            File.Delete(_filler);
            return Task.CompletedTask;
        }

        public override ValueTask DisposeAsync() => holder.DisposeAsync();
    }

    /// <summary>Every write behind the end of a file fails, as on a full disk, though under another name.</summary>
    private sealed class LimitedFiles : SmallVolume
    {
        public override string Kind => "a limit on files, RLIMIT_FSIZE";

        public override string[] Program => ["sh", "-c", "trap '' XFSZ; exec \"$0\" \"$@\""];

        public override ValueTask DisposeAsync() => ValueTask.CompletedTask;

        public override Task FillAsync(int processId) => LimitAsync(processId, "0:unlimited");

        public override Task EmptyAsync(int processId) => LimitAsync(processId, "unlimited:unlimited");

        private static async Task LimitAsync(int processId, string limit)
        {
            var (exitCode, _, error) = await ChildProcess.RunAsync("prlimit", ["--pid", $"{processId}", $"--fsize={limit}"], Eventually.Patience);
            if (exitCode != 0)
            {
                throw new LoadTestException($"prlimit --fsize={limit} failed: {error}");
            }
        }
    }
}
