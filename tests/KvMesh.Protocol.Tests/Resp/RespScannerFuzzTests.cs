using System.Text;
using KvMesh.Protocol.Resp;

namespace KvMesh.Protocol.Tests.Resp;

/// <summary>
/// Random streams, made of requests and their mutations, in random pieces. Whatever comes, the scanner stays inside the buffer and
/// finds the same requests as in one piece. KVMESH_FUZZ_SECONDS makes it long; a failure names its seed.
/// </summary>
public sealed class RespScannerFuzzTests
{
    private const int ShortRounds = 3000;

    [Fact]
    public void Finds_the_same_requests_in_any_pieces()
    {
        var seconds = int.Parse(Environment.GetEnvironmentVariable("KVMESH_FUZZ_SECONDS") ?? "0");
        var start = TimeProvider.System.GetTimestamp();
        for (var seed = 1; seed <= ShortRounds || TimeProvider.System.GetElapsedTime(start).TotalSeconds < seconds; seed++)
        {
            var random = new Random(seed);
            var stream = MakeStream(random);
            var whole = ScanAll(stream, () => stream.Length);
            var pieces = ScanAll(stream, () => random.Next(1, 40));
            Assert.True(whole == pieces, $"seed {seed}:\n{whole}\n{pieces}");
        }
    }

    private static byte[] MakeStream(Random random)
    {
        var stream = new List<byte>();
        var requests = random.Next(1, 6);
        for (var request = 0; request < requests; request++)
        {
            AppendRequest(stream, random);
        }

        var mutations = random.Next(3) == 0 ? random.Next(1, 4) : 0;
        for (var mutation = 0; mutation < mutations && stream.Count > 0; mutation++)
        {
            var position = random.Next(stream.Count);
            switch (random.Next(3))
            {
                case 0:
                    stream[position] = (byte)random.Next(256);
                    break;
                case 1:
                    stream.RemoveAt(position);
                    break;
                default:
                    stream.Insert(position, "\r\n*$-0123\"' "u8[random.Next(12)]);
                    break;
            }
        }

        return [.. stream];
    }

    private static void AppendRequest(List<byte> stream, Random random)
    {
        var count = random.Next(0, 5);
        var isInline = random.Next(4) == 0;
        stream.AddRange(isInline ? [] : Encoding.Latin1.GetBytes($"*{count}\r\n"));
        for (var index = 0; index < count; index++)
        {
            var argument = new byte[random.Next(20) == 0 ? random.Next(RespLimits.BufferedBulkBytes - 10, RespLimits.BufferedBulkBytes + 200) : random.Next(8)];
            random.NextBytes(argument);
            stream.AddRange(isInline
                ? Encoding.Latin1.GetBytes(random.Next(2) == 0 ? $"word{index} " : $"\"\\x{random.Next(256):x2} q\" ")
                : [.. Encoding.Latin1.GetBytes($"${argument.Length}\r\n"), .. argument, .. "\r\n"u8]);
        }

        stream.AddRange(isInline ? "\r\n"u8.ToArray() : []);
    }

    private static string ScanAll(byte[] stream, Func<int> nextPiece)
    {
        var found = new StringBuilder();
        var scanner = new RespScanner();
        var start = 0;
        var end = 0;
        while (true)
        {
            var status = scanner.Scan(stream.AsSpan(start, end - start));
            Assert.InRange(scanner.Position, 0, end - start);
            switch (status)
            {
                case ScanStatus.NeedMore when end == stream.Length:
                    return found.Append("cut").ToString();
                case ScanStatus.NeedMore:
                    end = Math.Min(stream.Length, end + nextPiece());
                    break;
                case ScanStatus.LargeBulk:
                    scanner.BufferBulk();
                    break;
                case ScanStatus.Malformed:
                    return found.Append(scanner.Error).ToString();
                default:
                    Describe(scanner.Request(stream.AsSpan(start, end - start)), found);
                    start += scanner.Position;
                    scanner.Reset();
                    break;
            }
        }
    }

    private static void Describe(RespRequest request, StringBuilder found)
    {
        for (var index = 0; index < request.Count; index++)
        {
            found.Append(Convert.ToHexString(request[index])).Append(' ');
        }

        found.Append('\n');
    }
}
