using System.Text;
using KvMesh.Protocol;
using KvMesh.Simulation.Traces;
using KvMesh.TestKit;

namespace KvMesh.Simulation.Tests.Traces;

/// <summary>Traces with any damage are read, or refused with the line that is wrong.</summary>
public sealed class MooncakeTraceFuzzTests
{
    private const string Trace = """
        {"timestamp": 5, "input_length": 1000, "output_length": 3, "hash_ids": [0, 14]}
        {"timestamp": 9.0, "input_length": 512, "output_length": 0, "hash_ids": [18446744073709551615]}
        {"timestamp": 11, "input_length": 1537, "output_length": 80, "hash_ids": [1, 2, 3, 4]}
        """;

    private static readonly string[] Words = ["-1", "1e400", "1e18", "9223372036854775807", "null", "\"x\"", "[]", "{}", ",", "\n", "18446744073709551616", "\"timestamp\""];

    [Fact]
    public void Damaged_traces_are_read_or_refused_with_the_line() => Fuzz.Run(8_000, random =>
    {
        try
        {
            var requests = MooncakeTrace.Read(new StringReader(Damage(random)));
            Assert.All(requests, request => Assert.InRange(request.BlockIds.Length, 1, Limits.MaxBlocksPerRequest));
            Assert.All(requests, request => Assert.InRange(request.FullBlocks, request.BlockIds.Length - 1, request.BlockIds.Length));
        }
        catch (TraceFormatException refusal)
        {
            Assert.InRange(refusal.Line, 1, 20);
            Assert.StartsWith($"line {refusal.Line}: ", refusal.Message, StringComparison.Ordinal);
            Assert.InRange(refusal.Message.Length, 1, 250);
            Assert.DoesNotContain(refusal.Message, char.IsControl);
        }
    });

    private static string Damage(Random random)
    {
        if (random.Next(2) == 0)
        {
            return Encoding.UTF8.GetString(Fuzz.Damage(random, Encoding.UTF8.GetBytes(Trace)));
        }

        var text = new StringBuilder(Trace);
        for (var changes = random.Next(1, 3); changes > 0; changes--)
        {
            var at = random.Next(text.Length);
            text.Remove(at, Math.Min(text.Length - at, random.Next(6)));
            text.Insert(at, Words[random.Next(Words.Length)]);
        }

        return text.ToString();
    }
}
