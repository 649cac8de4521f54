using KvMesh.Client;
using KvMesh.Client.Progressive;
using KvMesh.Protocol.Integrity;
using KvMesh.Protocol.Keys;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Native.Messages;
using KvMesh.TestKit;

namespace KvMesh.System.Tests;

/// <summary>Blocks that are read while they are written, with writers that are processes of their own.</summary>
[Trait("Category", "System")]
public sealed class SectionWriterTests : IAsyncLifetime, IDisposable
{
    private const int SectionBytes = 200_000;
    private const int BlockBytes = 4 * SectionBytes;

    /// <summary>Sends what it is given, tells that all of it was answered, and holds its connection.</summary>
    private const string Program =
        "import socket,sys\n" +
        "s=socket.create_connection((sys.argv[1],int(sys.argv[2])))\n" +
        "s.sendall(bytes.fromhex(sys.stdin.readline()))\n" +
        "got=b''\n" +
        "while got.count(b'KVMF')<int(sys.argv[3]):\n" +
        "  part=s.recv(65536)\n" +
        "  if not part: sys.exit('the node closed the connection')\n" +
        "  got+=part\n" +
        "print('answered',flush=True)\n" +
        "s.recv(1)\n";

    private static readonly BlockScope Scope = new("model", "1", new byte[32], 0);

    private readonly NodeFolders _folders = new();
    private readonly byte[] _payload = TestBytes.Payload(9, BlockBytes);
    private readonly byte[] _hash = TestBytes.Hash(4, 4);
    private NodeProcess _node = null!;

    public async Task InitializeAsync() => _node = await NodeProcess.StartAsync(_folders, "--arena", "64MiB");

    public async Task DisposeAsync() => await _node.DisposeAsync();

    public void Dispose() => _folders.Dispose();

    [Fact]
    public async Task Readers_are_told_when_the_writer_is_killed_and_go_on_with_the_next()
    {
        await using var client = await KvMeshClient.ConnectAsync(
            new ClientOptions { Endpoint = _node.Addresses.NativeEndpoint, RequestTimeout = Eventually.Patience, ConnectTimeout = Eventually.Patience }, default);
        await using var writer = await StartWriterAsync(sections: 2);
        await using var reader = client.FollowAsync(Scope, _hash, SectionBytes, new byte[BlockBytes], Eventually.Patience, default).GetAsyncEnumerator();
        for (var section = 0; section < 2; section++)
        {
            Assert.True(await reader.MoveNextAsync().AsTask().Within("a section"));
            Assert.True(reader.Current.Bytes.Span.SequenceEqual(_payload.AsSpan(section * SectionBytes, SectionBytes)));
        }

        var next = reader.MoveNextAsync().AsTask();
        await writer.KillAsync();

        Assert.True(await next.Within("the end of the writer"));
        Assert.Equal((SectionStatus.WriterGone, 2), (reader.Current.Status, reader.Current.Section));

        // Nothing of it is left in the way of the next writer, and its readers get the whole block.
        await using var second = await client.BeginSectionsAsync(Scope, _hash, default, BlockBytes, SectionBytes, default);
        var destination = new byte[BlockBytes];
        var following = ReadAllAsync(client, destination);
        for (var section = 0; section < 4; section++)
        {
            Assert.Equal(PutStatus.Stored, await second.PublishAsync(_payload.AsMemory(section * SectionBytes, SectionBytes), default));
        }

        Assert.Equal(4, await following.Within("all sections"));
        Assert.Equal(_payload, destination);
    }

    private async Task<int> ReadAllAsync(KvMeshClient client, byte[] destination)
    {
        var sections = 0;
        await foreach (var step in client.FollowAsync(Scope, _hash, SectionBytes, destination, Eventually.Patience, default))
        {
            sections += step.Status == SectionStatus.Ready ? 1 : 0;
        }

        return sections;
    }

    /// <summary>A process that has begun the block and published its first sections, and then does nothing.</summary>
    private async Task<ChildProcess> StartWriterAsync(int sections)
    {
        var frames = new List<byte>();
        Add(frames, 1, Verb.Hello, writer => new HelloRequest { LowestVersion = 1, HighestVersion = 1, ClientName = "writer"u8 }.Write(writer));
        Add(frames, 2, Verb.SectionBegin, writer =>
        {
            new SectionBeginRequest { BlockBytes = BlockBytes, SectionBytes = SectionBytes }.Write(writer);
            writer.WriteChain(Scope.Bytes.Span, _hash);
        });
        for (var section = 0; section < sections; section++)
        {
            var (number, bytes) = (section, _payload[(section * SectionBytes)..((section + 1) * SectionBytes)]);
            Add(frames, (ulong)(3 + section), Verb.SectionPublish, writer => new SectionPublishRequest(1, (uint)number, Crc32C.Compute(bytes)).WriteTo(writer), bytes);
        }

        var address = _node.Addresses.Native;
        var colon = address.LastIndexOf(':');
        var child = ChildProcess.Start(
            "/usr/bin/python3", ["-c", Program, address[..colon], address[(colon + 1)..], $"{2 + sections}"], input: Convert.ToHexString([.. frames]) + "\n");
        await child.WaitForLineAsync(line => line == "answered", "the answers to the writer", Eventually.Patience);
        return child;
    }

    private static void Add(List<byte> frames, ulong id, Verb verb, Action<FrameWriter> head, byte[]? payload = null)
    {
        var writer = new FrameWriter();
        writer.Begin(verb, id, FrameFlags.None);
        head(writer);
        writer.End(NativeStatus.Ok, payload?.Length ?? 0);
        frames.AddRange(writer.Pending);
        frames.AddRange(payload ?? []);
    }
}
