using KvMesh.Gateway.Sockets;
using KvMesh.Protocol.Integrity;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Native.Messages;
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

    [Fact]
    public void Publishing_a_section_and_following_it_allocate_nothing()
    {
        const int SectionBytes = 300;
        const int Sections = 4000;
        const int Warm = 400;
        const int Measured = 400;
        using var node = new NativeSessionFixture(maxBlockBytes: 8 << 20);
        var payload = TestBytes.Payload(1, SectionBytes);
        var checksum = Crc32C.Compute(payload);
        node.Ask(Verb.SectionBegin, writer =>
        {
            new SectionBeginRequest { BlockBytes = Sections * SectionBytes, SectionBytes = SectionBytes }.Write(writer);
            writer.WriteChain(NativeSessionFixture.Scope.Bytes.Span, TestBytes.Hash(1, 1));
        });
        var proof = 0u;
        var requests = new byte[Sections][];
        for (var section = 0u; section < Sections; section++)
        {
            var (number, before) = (section, proof);
            requests[section] =
            [
                .. node.Frame(Verb.SectionPublish, writer => new SectionPublishRequest(1, number, checksum).WriteTo(writer), payload),
                .. node.Frame(Verb.SectionFollow, writer =>
                {
                    new SectionFollowRequest(number, SectionBytes, before, 1, 0).Write(writer);
                    writer.WriteChain(NativeSessionFixture.Scope.Bytes.Span, TestBytes.Hash(1, 1));
                }),
            ];
            proof = SectionProof.Append(proof, checksum);
        }

        node.Channel.Keeps = false;
        var next = 0;
        Publish(Warm);
        var sent = node.Channel.SentBytes;
        var allocated = Allocations.Of(() => Publish(Measured));

        Assert.True(node.Channel.SentBytes - sent > (long)Measured * SectionBytes, "nothing was followed");
        Assert.Equal(0, allocated);

        void Publish(int count)
        {
            for (var end = next + count; next < end; next++)
            {
                Run(node, requests[next], 1);
            }
        }
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
