using KvMesh.Cluster.Sequences;
using KvMesh.Protocol.Sequences;
using KvMesh.TestKit;
using KvMesh.TestKit.Sequences;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvMesh.Cluster.Tests.Sequences;

/// <summary>The embedded store keeps the contract, and what it acknowledged is in its file.</summary>
public sealed class EmbeddedSequenceStoreTests : SequenceStoreContract, IDisposable
{
    private readonly TemporaryDirectory _directory = new();
    private readonly Dictionary<string, EmbeddedSequenceStore> _open = [];

    private string DefaultPath => Path.Combine(_directory.Path, "sequences");

    public void Dispose()
    {
        foreach (var store in _open.Values)
        {
            store.Dispose();
        }

        _directory.Dispose();
    }

    protected override Task<ISequenceStore> ConnectAsync() => Task.FromResult<ISequenceStore>(Open());

    [Fact]
    public async Task A_copy_of_the_file_at_any_moment_holds_what_was_acknowledged()
    {
        // A copy is what kill -9 leaves: the kernel has what was written, the process told nobody more.
        await using var host = await HostAsync("red");
        var epoch = await OpenAsync(host, "chat");
        await AppendAsync(host, "chat", epoch, 0, 300);
        Ok(await host.ExecuteAsync(Id("chat"), Fork("side", 10), default));
        await OpenAsync(host, "closed");
        Ok(await host.ExecuteAsync(Id("closed"), new CloseSequence(), default));

        using var later = Reopen(await CopyAsync(), out _);
        await using var next = new SequenceHost(later, new SequenceHostOptions { Node = "blue" }, TimeProvider.System, NullLoggerFactory.Instance);
        Assert.Equal(1200, Ok(await next.FindAsync(Id("chat"), default)).Blocks);
        Assert.Equal(300, (await next.ReadRowsAsync(Id("chat"), 0, 1000, default)).Rows.Length);
        Assert.Equal(3, (await next.ReadRowsAsync(Id("side"), 0, 1000, default)).Rows.Length);
        Assert.Equal(["chat", "side"], (await next.ListAsync(Id("").Tenant, "", 10, default)).Sequences.Select(info => info.Name));
        Assert.Equal(new SequenceUsage(2, 300, 0), (await next.ReadUsageAsync(Id("").Tenant, default)).Used);
        Ok(await next.ExecuteAsync(Id("chat"), SequenceCommands.Append(epoch, 1200), default));
    }

    [Fact]
    public async Task A_file_that_is_torn_anywhere_holds_every_step_before()
    {
        await using var host = await HostAsync("red");
        var epoch = await OpenAsync(host, "chat");
        var ends = new List<(long Bytes, long Blocks)> { (Open().FileBytes, 0) };
        for (var run = 0; run < 6; run++)
        {
            await AppendAsync(host, "chat", epoch, run * 4, 1);
            ends.Add((Open().FileBytes, (run + 1) * 4));
        }

        var whole = await CopyAsync();
        for (var cut = (int)ends[0].Bytes; cut <= whole.Length; cut += 7)
        {
            using var store = Reopen(whole[..cut], out var path);
            var expected = ends.Last(end => end.Bytes <= cut).Blocks;
            Assert.Equal(expected, (await store.ReadAsync(Id("chat"), default)).Head!.Blocks);
            Assert.True(store.FileBytes <= cut);
            Assert.Equal(store.FileBytes, new FileInfo(path).Length);
        }

        // A damaged byte in the middle ends the file there, and nothing wrong is believed.
        var damaged = whole.ToArray();
        damaged[(int)ends[2].Bytes + 40] ^= 1;
        using var rest = Reopen(damaged, out _);
        Assert.Equal(8, (await rest.ReadAsync(Id("chat"), default)).Head!.Blocks);
    }

    [Fact]
    public async Task The_file_stays_in_proportion_to_what_is_in_force()
    {
        await using var host = await HostAsync("red");
        var epoch = await OpenAsync(host, "chat");
        for (var step = 0; step < 40_000; step++)
        {
            epoch = Ok(await host.ExecuteAsync(Id("chat"), new ResumeSequence(), default)).Epoch;
        }

        await AppendAsync(host, "chat", epoch, 0, 3);
        Assert.InRange(Open().FileBytes, 100, 5 << 20);
        using var later = Reopen(await CopyAsync(), out _);
        Assert.Equal((epoch, 12), ((await later.ReadAsync(Id("chat"), default)).Head!.Epoch, (await later.ReadAsync(Id("chat"), default)).Head!.Blocks));
    }

    [Fact]
    public async Task An_append_writes_as_many_bytes_at_100_000_segments_as_at_10()
    {
        await using var host = await HostAsync("red", maxSegments: 1_000_000);
        var epoch = await OpenAsync(host, "chat");
        await AppendAsync(host, "chat", epoch, 0, 10);
        var early = await BytesOfAppendAsync(40);

        // The same head and file as after 100,000 appends, without taking their time.
        var store = Open();
        var head = (await store.ReadAsync(Id("chat"), default)).Head!;
        var rows = Enumerable.Range(11, 99_989).Select(row => new SegmentRow((uint)row * 4, 4, (ulong)row * 64, 64, (ulong)row * 4000, 4000, SequenceCommands.Hash((row * 4) + 1), SequenceCommands.Hash((row * 4) + 4))).ToArray();
        for (var first = 0; first < rows.Length; first += 1000)
        {
            var part = rows.AsMemory(first, Math.Min(1000, rows.Length - first));
            var last = part.Span[^1];
            var next = head with { Version = head.Version + 1, Segments = head.Segments + part.Length, Blocks = last.EndBlock, Tokens = (long)last.StartToken + 64, Bytes = (long)last.StartByte + 4000, LastHash = last.LastHash };
            Assert.Equal(StoreStatus.Ok, (await store.WriteAsync(Id("chat"), new SequenceWrite(next, head.Version, head.Stamp, part, head.Segments, head.ExpiresAt, head.TouchedAt), default)).Status);
            head = next;
        }

        Assert.Equal(100_000, head.Segments);
        var late = await BytesOfAppendAsync(head.Blocks);

        // Only the digits of the counters grow.
        Assert.InRange(late - early, 0, 16);

        async Task<long> BytesOfAppendAsync(long after)
        {
            var before = Open().FileBytes;
            Ok(await host.ExecuteAsync(Id("chat"), SequenceCommands.Append(epoch, after), default));
            return Open().FileBytes - before;
        }
    }

    [Fact]
    public void A_file_that_is_something_else_is_refused_and_left_alone()
    {
        File.WriteAllText(DefaultPath, "something else entirely");
        var failure = Assert.Throws<IOException>(Open);
        Assert.Contains(DefaultPath, failure.Message, StringComparison.Ordinal);
        Assert.Equal("something else entirely", File.ReadAllText(DefaultPath));
    }

    private EmbeddedSequenceStore Open()
    {
        if (!_open.TryGetValue(DefaultPath, out var store))
        {
            _open[DefaultPath] = store = new EmbeddedSequenceStore(DefaultPath, new SequenceRules(), TimeProvider.System, NullLoggerFactory.Instance);
        }

        return store;
    }

    /// <summary>By another program, since the store keeps .NET programs out of its file.</summary>
    private async Task<byte[]> CopyAsync()
    {
        var path = Path.Combine(_directory.Path, $"taken-{Guid.NewGuid():n}");
        var (exitCode, _, error) = await ChildProcess.RunAsync("cp", [DefaultPath, path], TimeSpan.FromSeconds(60));
        Assert.True(exitCode == 0, error);
        return File.ReadAllBytes(path);
    }

    private EmbeddedSequenceStore Reopen(byte[] file, out string path)
    {
        path = Path.Combine(_directory.Path, $"copy-{Guid.NewGuid():n}");
        File.WriteAllBytes(path, file);
        return new EmbeddedSequenceStore(path, new SequenceRules(), TimeProvider.System, NullLoggerFactory.Instance);
    }
}
