using KvMesh.Gateway.Sockets;
using KvMesh.Protocol.Native;
using KvMesh.TestKit;

namespace KvMesh.Gateway.Tests.Native;

public sealed class NativeAllocationTests
{
    [Theory]
    [InlineData(4096)]
    [InlineData(1 << 20)]
    public void A_warm_get_from_RAM_allocates_nothing(int blockBytes)
    {
        const int Warm = 300;
        const int Measured = 2000;
        using var node = new NativeSessionFixture(maxBlockBytes: 8 << 20);
        node.Ask(Verb.Put, NativeSessionFixture.Put(1, blockBytes), NativeSessionFixture.Trailed(TestBytes.Payload(1, blockBytes)));
        var request = node.Frame(Verb.Get, writer => NativeSessionFixture.Get(writer, 1));
        node.Channel.Keeps = false;
        Run(node, request, Warm);

        var sent = node.Channel.SentBytes;
        var allocated = Allocations.Of(() => Run(node, request, Measured));

        Assert.True(node.Channel.SentBytes - sent > (long)Measured * blockBytes, "the gets did not hit");
        Assert.Equal(0, allocated);
    }

    private static void Run(NativeSessionFixture node, byte[] request, int count)
    {
        for (var index = 0; index < count; index++)
        {
            node.Channel.Queue(request);
            if (node.Session.Run(node.Channel) != SessionOutcome.Idle)
            {
                throw new InvalidOperationException("The session ended.");
            }
        }
    }
}
