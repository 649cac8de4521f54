using System.Text;
using KvMesh.Protocol.Resp;
using KvMesh.Protocol.Sockets;

namespace KvMesh.Protocol.Tests.Resp;

public sealed class RespWriterTests
{
    private readonly SendingChannel _channel = new();
    private readonly RespWriter _writer = new();

    public RespWriterTests() => _writer.Attach(_channel, new byte[32 * 1024]);

    [Fact]
    public void Writes_RESP2()
    {
        WriteOneOfEach();

        Assert.Equal("+OK\r\n-ERR a b\r\n:-5\r\n$-1\r\n$2\r\nhi\r\n*3\r\n*4\r\n*2\r\n$4\r\ntext\r\n", Flushed());
    }

    [Fact]
    public void Writes_RESP3()
    {
        _writer.IsResp3 = true;
        WriteOneOfEach();

        Assert.Equal("+OK\r\n-ERR a b\r\n:-5\r\n_\r\n$2\r\nhi\r\n*3\r\n%2\r\n~2\r\n=8\r\ntxt:text\r\n", Flushed());
    }

    [Fact]
    public void Sends_a_pipeline_of_small_payloads_at_once()
    {
        for (var reply = 0; reply < 16; reply++)
        {
            _writer.WriteBulk(new byte[28]);
        }

        _writer.Flush();

        Assert.Equal(1, _channel.Sends);
    }

    [Fact]
    public void Sends_a_large_payload_with_what_waits_before_it_in_one_call()
    {
        var payload = new byte[100_000];
        _writer.WriteSimple("OK"u8);
        _writer.WriteBulk(payload);

        Assert.Equal(1, _channel.Sends);
        Assert.Equal("+OK\r\n$100000\r\n" + Encoding.Latin1.GetString(payload) + "\r\n", Flushed());
    }

    [Fact]
    public void Sends_when_the_buffer_is_full_and_keeps_the_order()
    {
        var expected = new StringBuilder();
        for (var reply = 0; reply < 20_000; reply++)
        {
            _writer.WriteInteger(reply);
            expected.Append(':').Append(reply).Append("\r\n");
        }

        Assert.InRange(_writer.PendingBytes, 0, 32 * 1024);
        Assert.Equal(expected.ToString(), Flushed());
    }

    private void WriteOneOfEach()
    {
        _writer.WriteSimple("OK"u8);
        _writer.WriteError("ERR a\nb");
        _writer.WriteInteger(-5);
        _writer.WriteNull();
        _writer.WriteBulk("hi");
        _writer.WriteArray(3);
        _writer.WriteMap(2);
        _writer.WriteSet(2);
        _writer.WriteVerbatim("text"u8);
    }

    private string Flushed()
    {
        _writer.Flush();
        return Encoding.Latin1.GetString([.. _channel.Sent]);
    }

    private sealed class SendingChannel : IByteChannel
    {
        public List<byte> Sent { get; } = [];

        public int Sends { get; private set; }

        public int Receive(Span<byte> buffer) => 0;

        public int ReceiveOrIdle(Span<byte> buffer) => -1;

        public void Send(ReadOnlySpan<byte> first, ReadOnlySpan<byte> second = default, ReadOnlySpan<byte> third = default)
        {
            Sends++;
            Sent.AddRange(first);
            Sent.AddRange(second);
            Sent.AddRange(third);
        }
    }
}
