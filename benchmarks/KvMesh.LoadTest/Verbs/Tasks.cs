using System.CommandLine;

namespace KvMesh.LoadTest.Verbs;

/// <summary>Which tasks of a verb are measured, for whoever works on one of them.</summary>
internal static class Tasks
{
    public static Option<string[]> Option(params string[] names)
    {
        var only = new Option<string[]>("--only")
        {
            Description = $"Tasks to measure: {string.Join(", ", names)}. All when it is not given.",
            AllowMultipleArgumentsPerToken = true,
            DefaultValueFactory = _ => names,
        };
        only.AcceptOnlyFromAmong(names);
        return only;
    }
}
