using System.Text;
using KvMesh.Protocol.Resp;
using KvMesh.Protocol.Sockets;
using KvMesh.Protocol.Tests.Native;

namespace KvMesh.Protocol.Tests.Resp;

public sealed class RespReplyReaderTests
{
    private const long Limit = 1 << 20;

    [Fact]
    public void Reads_every_kind_of_reply_cut_at_every_byte()
    {
        var stream = "+OK\r\n-OOM command not allowed\r\n:-42\r\n$5\r\nab\r\nc\r\n$-1\r\n*2\r\n:1\r\n$0\r\n\r\n*-1\r\n"u8.ToArray();
        for (var piece = 1; piece <= stream.Length; piece++)
        {
            var reader = Reader(stream, piece);
            Assert.Equal(new RespReply(RespReplyKind.Simple, 0), reader.Next(Limit));
            Assert.Equal("OK"u8, reader.Text);
            Assert.Equal(new RespReply(RespReplyKind.Error, 0), reader.Next(Limit));
            Assert.Equal("OOM command not allowed"u8, reader.Text);
            Assert.Equal(new RespReply(RespReplyKind.Number, -42), reader.Next(Limit));
            Assert.Equal(new RespReply(RespReplyKind.Bulk, 5), reader.Next(Limit));
            var bytes = new byte[5];
            reader.Receive(bytes);
            reader.EndBulk();
            Assert.Equal("ab\r\nc"u8, bytes);
            Assert.Equal(RespReplyKind.Null, reader.Next(Limit).Kind);
            Assert.Equal(new RespReply(RespReplyKind.Array, 2), reader.Next(Limit));
            Assert.Equal(1, reader.Next(Limit).Number);
            Assert.Equal(new RespReply(RespReplyKind.Bulk, 0), reader.Next(Limit));
            reader.EndBulk();
            Assert.Equal(RespReplyKind.Null, reader.Next(Limit).Kind);
            Assert.False(reader.HasBuffered);
        }
    }

    [Fact]
    public void Large_values_go_straight_to_their_place()
    {
        var value = new byte[300_000];
        new Random(1).NextBytes(value);
        var reader = Reader([.. "$300000\r\n"u8, .. value, .. "\r\n:7\r\n"u8], 65_536);
        Assert.Equal(300_000, reader.Next(Limit).Number);
        var read = new byte[300_000];
        reader.Receive(read);
        reader.EndBulk();
        Assert.Equal(value, read);
        Assert.Equal(7, reader.Next(Limit).Number);
    }

    [Fact]
    public void What_is_left_of_a_reply_can_be_skipped()
    {
        var reader = Reader("*3\r\n$3\r\nabc\r\n*2\r\n+x\r\n:1\r\n$-1\r\n:5\r\n"u8.ToArray(), 3);
        reader.SkipRest(reader.Next(Limit), Limit);
        Assert.Equal(5, reader.Next(Limit).Number);
    }

    [Theory]
    [InlineData("HTTP/1.1 400 Bad Request\r\n")]
    [InlineData("\r\n")]
    [InlineData("$\r\n")]
    [InlineData("$-2\r\n")]
    [InlineData("$+5\r\n")]
    [InlineData("$05\r\n")]
    [InlineData("$5 \r\n")]
    [InlineData("$99999999999999999999\r\n")]
    [InlineData("$1048577\r\n")]
    [InlineData("*1048577\r\n")]
    [InlineData("*-2\r\n")]
    [InlineData(":abc\r\n")]
    [InlineData(":1\n")]
    [InlineData("%1\r\n")]
    [InlineData("_\r\n")]
    public void Garbage_is_refused(string text) =>
        Assert.Throws<RespReplyException>(() => Reader(Encoding.Latin1.GetBytes(text), 4).Next(Limit));

    [Fact]
    public void A_line_without_end_is_refused_at_its_limit()
    {
        var endless = new byte[RespReplyReader.MaxLineBytes * 3];
        endless.AsSpan().Fill((byte)'+');
        Assert.Throws<RespReplyException>(() => Reader(endless, 1000).Next(Limit));
    }

    [Fact]
    public void A_value_without_its_line_end_is_refused()
    {
        var reader = Reader("$2\r\nabXX"u8.ToArray(), 100);
        reader.Next(Limit);
        Assert.Throws<RespReplyException>(reader.EndBulk);
    }

    [Fact]
    public void More_than_the_value_is_never_given()
    {
        var reader = Reader("$2\r\nab\r\n:1\r\n"u8.ToArray(), 100);
        reader.Next(Limit);
        Assert.Equal(2, reader.ReceiveSome(new byte[10]));
        reader.EndBulk();
        Assert.Equal(1, reader.Next(Limit).Number);

        var shorter = Reader("$2\r\nab\r\n"u8.ToArray(), 100);
        shorter.Next(Limit);
        Assert.Throws<RespReplyException>(() => shorter.Receive(new byte[3]));
    }

    [Fact]
    public void A_stream_that_ends_is_a_lost_connection()
    {
        Assert.Throws<ChannelException>(() => Reader("+O"u8.ToArray(), 100).Next(Limit));
        var reader = Reader("$4\r\nab"u8.ToArray(), 100);
        reader.Next(Limit);
        Assert.Throws<ChannelException>(() => reader.Receive(new byte[4]));
    }

    [Fact]
    public void Arrays_that_nest_for_ever_are_refused()
    {
        var reader = Reader(Encoding.Latin1.GetBytes(string.Concat(Enumerable.Repeat("*1\r\n", 10_000))), 100);
        Assert.Throws<RespReplyException>(() => reader.SkipRest(reader.Next(Limit), Limit));
    }

    [Fact]
    public void Mutated_streams_end_in_a_refusal_or_a_lost_connection()
    {
        var seed = 0;
        while (seed++ < 3000)
        {
            var random = new Random(seed);
            var stream = "+OK\r\n:12\r\n$5\r\nabcde\r\n*2\r\n$1\r\na\r\n-ERR x\r\n$-1\r\n"u8.ToArray();
            for (var mutation = random.Next(1, 5); mutation > 0; mutation--)
            {
                stream[random.Next(stream.Length)] = random.Next(2) == 0 ? (byte)random.Next(256) : "\r\n*$:+-09"u8[random.Next(9)];
            }

            var reader = Reader(stream, random.Next(1, 12));
            try
            {
                while (true)
                {
                    reader.SkipRest(reader.Next(100), 100);
                }
            }
            catch (Exception exception) when (exception is RespReplyException or ChannelException)
            {
            }
        }
    }

    [Fact]
    public void Commands_are_arrays_of_bulks()
    {
        var writer = new RespCommandWriter();
        writer.Begin(5);
        writer.Add("SET"u8);
        writer.Add("key"u8);
        writer.BeginBulk(7);
        writer.AddBytes("head"u8);
        var before = writer.Length;
        writer.EndBulk();
        writer.Add("PX"u8);
        writer.Add(1500);
        Assert.Equal("*5\r\n$3\r\nSET\r\n$3\r\nkey\r\n$7\r\nhead"u8, writer.Built[..before]);
        Assert.Equal("\r\n$2\r\nPX\r\n$4\r\n1500\r\n"u8, writer.Built[before..]);
        writer.Clear();
        Assert.Equal(0, writer.Length);
    }

    [Fact]
    public void Commands_that_wait_are_bounded()
    {
        var writer = new RespCommandWriter();
        var argument = new byte[RespCommandWriter.MaxBytes / 4];
        writer.Add(argument);
        writer.Add(argument);
        writer.Add(argument);
        Assert.Throws<InvalidOperationException>(() => writer.Add(argument));
    }

    private static RespReplyReader Reader(byte[] stream, int pieceBytes) => new(new MemoryChannel(stream, pieceBytes));
}
