using System.Net;
using System.Net.Sockets;
using System.Text;
using KvMesh.TestKit;

namespace KvMesh.System.Tests;

/// <summary>A node is replaced while a client as strict as LMCache's is at work: one socket, no reconnect, exact replies.</summary>
[Trait("Category", "System")]
public sealed class TakeOverTests : IDisposable
{
    private readonly NodeFolders _folders = new();

    public void Dispose() => _folders.Dispose();

    [Fact]
    public async Task A_strict_client_sees_a_pause_and_no_reset()
    {
        await using var first = await NodeProcess.StartAsync(_folders, "--arena", "64MiB");
        using var busy = await StrictClient.ConnectAsync(first.Addresses.RespPort);
        using var idle = await StrictClient.ConnectAsync(first.Addresses.RespPort);
        await idle.RoundAsync(1_000_000);
        using var stop = new CancellationTokenSource();
        var rounds = 0;
        var work = Task.Run(async () =>
        {
            while (!stop.IsCancellationRequested)
            {
                await busy.RoundAsync(rounds++ % 200);
            }
        });

        await using var second = await NodeProcess.StartAsync(
            _folders, "--arena", "64MiB", "--take-over", "--http", $"{first.Addresses.Http.Port}", "--native", first.Addresses.Native, "--resp", first.Addresses.Resp);
        Assert.Equal(0, await first.Process.WaitForExitAsync(Eventually.Patience));
        var roundsBefore = Volatile.Read(ref rounds);
        await Eventually.Holds(() => Volatile.Read(ref rounds) > roundsBefore + 50 || work.IsCompleted, "a client served by the successor");
        await stop.CancelAsync();
        await work.Within("the end of the client");

        // The connection that was silent meanwhile went along too, and so did what was stored before.
        await idle.GetAsync(1_000_000);
        await idle.RoundAsync(1_000_001);
        Assert.NotEqual(first.Addresses.ProcessId, second.Addresses.ProcessId);
        Assert.Equal(0, await second.StopAsync());
    }

    private sealed class StrictClient : IDisposable
    {
        private const int ValueBytes = 200_000;

        private readonly Socket _socket = new(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        private readonly byte[] _reply = new byte[ValueBytes + 64];

        public static async Task<StrictClient> ConnectAsync(int port)
        {
            var client = new StrictClient();
            await client._socket.ConnectAsync(IPAddress.Loopback, port);
            return client;
        }

        /// <summary>SET, EXISTS, GET, each reply exact to the byte.</summary>
        public async Task RoundAsync(int index)
        {
            var key = Key(index);
            await SendAsync([.. Encoding.ASCII.GetBytes($"*3\r\n$3\r\nSET\r\n${key.Length}\r\n{key}\r\n${ValueBytes}\r\n"), .. Value(index), .. "\r\n"u8]);
            await ExpectAsync("+OK\r\n"u8.ToArray(), index);
            await SendAsync(Encoding.ASCII.GetBytes($"*2\r\n$6\r\nEXISTS\r\n${key.Length}\r\n{key}\r\n"));
            await ExpectAsync(":1\r\n"u8.ToArray(), index);
            await GetAsync(index);
        }

        public async Task GetAsync(int index)
        {
            var key = Key(index);
            await SendAsync(Encoding.ASCII.GetBytes($"*2\r\n$3\r\nGET\r\n${key.Length}\r\n{key}\r\n"));
            await ExpectAsync([.. Encoding.ASCII.GetBytes($"${ValueBytes}\r\n"), .. Value(index), .. "\r\n"u8], index);
        }

        public void Dispose() => _socket.Dispose();

        private static string Key(int index) => $"model@01000100@0@{index:x64}";

        private static byte[] Value(int index) => Blocks.Payload(TestBytes.Hash(900, index), bytes: ValueBytes);

        private async Task SendAsync(byte[] bytes)
        {
            using var limit = new CancellationTokenSource(Eventually.Patience);
            for (var sent = 0; sent < bytes.Length;)
            {
                sent += await _socket.SendAsync(bytes.AsMemory(sent), limit.Token);
            }
        }

        private async Task ExpectAsync(byte[] expected, int index)
        {
            using var limit = new CancellationTokenSource(Eventually.Patience);
            for (var received = 0; received < expected.Length;)
            {
                var count = await _socket.ReceiveAsync(_reply.AsMemory(received, expected.Length - received), limit.Token);
                Assert.True(count > 0, $"round {index}: the connection was closed");
                received += count;
            }

            Assert.True(expected.AsSpan().SequenceEqual(_reply.AsSpan(0, expected.Length)), $"round {index}: the reply is not what a strict client takes");
        }
    }
}
